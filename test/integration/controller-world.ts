/** A controller over a file, with a server behind the gateway that the file declares, for tests of its clients. */
import { writeFileSync } from 'node:fs';
import { get as ask } from 'node:http';
import { get as askTls } from 'node:https';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { authorityIn } from '../../src/ca/folder.ts';
import { freePort } from './cli/program.ts';
import { programWorld, wwwEntry } from './program-world.ts';

interface Mesh {
  /** Of the server behind the gateway. */
  readonly upstream: number;
  readonly gateway: number;
  readonly version: string;
  /** Of a second server of the Gateway. */
  readonly second?: number | undefined;
  /** Its settings; without them it serves plaintext. */
  readonly tls?: string | undefined;
}

function filesOf({ upstream, gateway, version, second, tls }: Mesh): string {
  const settings = tls === undefined ? '' : `tls: ${tls}, `;
  const port = `port: { number: ${second}, name: second, protocol: ${tls === undefined ? 'HTTP' : 'HTTPS'} }`;
  const more = second === undefined ? '' : `\n  - { ${port}, ${settings}hosts: [www.example.com] }`;
  return `${wwwEntry(upstream)}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: shop }
spec:
  selector: { app: egress }
  servers:
  - { port: { number: ${gateway}, name: http, protocol: HTTP }, hosts: [www.example.com] }${more}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: shop }
spec:
  hosts: [www.example.com]
  gateways: [egress]
  http:
  - headers: { response: { set: { x-version: "${version}" } } }
    route: [{ destination: { host: www.example.com, port: { number: 80 } } }]
`;
}

/** What nobody tells of is asked for until it is so; the test's own timeout ends it. */
export async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    await delay(20);
  }
}

/** The version that a call through the gateway meets. */
export function call(port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const request = ask({ host: '127.0.0.1', port, headers: { host: 'www.example.com' }, agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode === 200 ? String(answer.headers['x-version']) : undefined));
    });
    request.on('error', reject);
  });
}

export async function world(t: TestContext) {
  const { folder, upstream, run } = await programWorld(t, 'controller', (_request, answer) => answer.end('hello'));
  const file = join(folder, 'mesh.yaml');
  const [gateway, xds, status] = [await freePort('0.0.0.0'), await freePort(), await freePort()];
  const mesh = { upstream, gateway };
  return {
    ...mesh,
    run,
    xds,
    /** @param second port of a second server of the Gateway @param tls its settings */
    write: (version: string, second?: number, tls?: string) => writeFileSync(file, filesOf({ ...mesh, version, second, tls })),
    folder,
    async control(...args: string[]) {
      const program = run('controller', file, '--xds', String(xds), '--status-address', String(status), ...args);
      await program.says(/: ready/);
      return program;
    },
    async states() {
      const program = run('proxy-status', '--controller', String(status), '-o', 'json');
      await program.exit;
      const streams = JSON.parse(program.output) as {
        proxy: string;
        protocol: string;
        xds: Record<string, { state: string; message?: string }>;
      }[];
      return { code: program.child.exitCode, text: program.output, streams };
    },
  };
}

/** PEM files, by paths. */
export interface ProofFiles {
  readonly ca: string;
  readonly own: { readonly certificate: string; readonly key: string };
}

/** Starts a controller that is reached by mutual TLS, with a second server of the gateway that takes mutual TLS alone. */
export async function mutualWorld(t: TestContext) {
  const place = await world(t);
  const [xdsTls, second] = [await freePort(), await freePort('0.0.0.0')];
  place.write('1', second, '{ mode: ISTIO_MUTUAL }');
  const folder = join(place.folder, 'ca');
  await place.control('--ca', folder, '--xds-tls', `127.0.0.1:${xdsTls}`);
  const authority = authorityIn(folder, 'cluster.local', Date.now());
  const issue = (account: string) => authority.issue(`spiffe://cluster.local/ns/shop/sa/${account}`, Date.now());
  const fileOf = (name: string, text: string) => {
    const file = join(place.folder, name);
    writeFileSync(file, text);
    return file;
  };
  return {
    ...place,
    xdsTls,
    second,
    proofOf(account: string): ProofFiles {
      const { chain, key } = issue(account);
      const own = { certificate: fileOf(`${account}-chain.pem`, chain), key: fileOf(`${account}-key.pem`, key.revealText()) };
      return { ca: fileOf('trusted.pem', authority.trusted), own };
    },
    /** The identity of whoever answers a call of a workload with an identity. */
    async identityBehind(port: number): Promise<string | undefined> {
      const { chain: cert, key } = issue('cart');
      const options = { host: '127.0.0.1', port, cert, key: key.revealText(), ca: authority.trusted };
      return new Promise((resolve, reject) => {
        const head = { headers: { host: 'www.example.com' }, agent: false } as const;
        const request = askTls({ ...options, ...head, checkServerIdentity: () => undefined }, (answer) => {
          const { subjectaltname } = (answer.socket as TLSSocket).getPeerCertificate();
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode === 200 ? subjectaltname : undefined));
        });
        request.on('error', reject);
      });
    },
  };
}
