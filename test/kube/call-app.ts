/**
 * The applications of the call table on a real node, bundled into one file: `outside` has the servers outside, `echo NAME PORT…` a pod's; each writes what
 * it sees, a line of JSON each. `client` makes the calls that it reads, a line each, and writes what they did. Certificates are in the file
 * that CALL_CERTIFICATES names.
 */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import type { Call } from '../calls/cases.ts';
import { Client, type Connect, dial, Failed } from '../calls/client.ts';
import { EchoServers, type Hit, outsideListeners, podListeners } from '../calls/echo.ts';
import type { KeyPair } from '../calls/loopback/certificates.ts';

/** Of the certificates, what crosses as JSON. */
export interface CertificateFile {
  readonly ca: string;
  readonly privateCa: string;
  readonly hosts: readonly (readonly [string, KeyPair])[];
  readonly named: readonly (readonly [string, KeyPair])[];
}

/** What is written once it serves. */
export const SERVES = 'serves';

function certificates() {
  const { hosts, named, ...others } = JSON.parse(readFileSync(process.env.CALL_CERTIFICATES!, 'utf8')) as CertificateFile;
  return { ...others, hosts: new Map(hosts), named: new Map(named) };
}

const say = (what: unknown) => process.stdout.write(`${JSON.stringify(what)}\n`);

const connect: Connect = async (_from, host, port) => {
  const address = net.isIP(host) > 0 ? host : await lookup(host, 4).then(({ address }) => address, noSuchName);
  return dial(address, port);
};

function noSuchName(): never {
  throw new Failed('dns_failure');
}

async function serve(listeners: Parameters<EchoServers['start']>[0], ...rest: [] | [ReturnType<typeof certificates>]): Promise<void> {
  await new EchoServers((hit: Hit) => say(hit)).start(listeners, ...rest);
  say(SERVES);
}

async function main([role, ...args]: readonly string[]): Promise<void> {
  if (role === 'outside') await serve(outsideListeners(), certificates());
  else if (role === 'echo') await serve(podListeners(args[0]!, '0.0.0.0', args.slice(1).map(Number)));
  else {
    const client = new Client(connect, certificates());
    say(SERVES);
    for await (const line of createInterface({ input: process.stdin })) {
      const { id, call } = JSON.parse(line) as { id: number; call: Call };
      void client.call(call).then(
        (result) => say({ id, result }),
        (error: unknown) => say({ id, error: String(error) }),
      );
    }
  }
}

if (import.meta.main) await main(process.argv.slice(2));
