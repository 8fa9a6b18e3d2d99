/** The lab's certificates, made anew with the openssl tool in each run: two CAs, the servers', the gateways' and a client's. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CERTIFIED_DOMAINS, OUTSIDE } from './topology.ts';

const run = promisify(execFile);

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** PEM of the CA that everybody trusts, and of the one that nobody does. */
  readonly ca: string;
  readonly privateCa: string;
  /** By host name, wildcards as `*.example.com`; `default.invalid` for names that no certificate has. */
  readonly hosts: ReadonlyMap<string, KeyPair>;
  /** `client`, `gw-www`, `gw-api`, `gw-wild`, `gw-httpbin`. */
  readonly named: ReadonlyMap<string, KeyPair>;
}

const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Needs openssl on the PATH. `folder` is the caller's to remove. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args);

  const ca = async (name: string, commonName: string) => {
    const usage = 'keyUsage=critical,keyCertSign,cRLSign';
    await openssl(
      'req',
      '-x509',
      ...P256,
      '-days',
      '30',
      '-subj',
      `/CN=${commonName}`,
      '-addext',
      usage,
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.crt`),
    );
    return readFile(file(`${name}.crt`), 'utf8');
  };
  const leaf = async (name: string, san: string, signer = 'ca'): Promise<KeyPair> => {
    const at = file(name.replace('*', '_'));
    await writeFile(`${at}.cnf`, `subjectAltName=${san}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n`);
    await openssl('req', ...P256, '-subj', '/O=lab', '-keyout', `${at}.key`, '-out', `${at}.csr`);
    const serial = String(BigInt(`0x1${Buffer.from(name).toString('hex').slice(0, 30)}`));
    const sign = ['-CA', file(`${signer}.crt`), '-CAkey', file(`${signer}.key`), '-set_serial', serial];
    await openssl('x509', '-req', '-in', `${at}.csr`, ...sign, '-days', '30', '-extfile', `${at}.cnf`, '-out', `${at}.crt`);
    return { cert: await readFile(`${at}.crt`, 'utf8'), key: await readFile(`${at}.key`, 'utf8') };
  };

  const [publicCa, privateCa] = await Promise.all([ca('ca', 'Lab public CA'), ca('private-ca', 'Lab private CA')]);
  const hosts = new Map<string, KeyPair>();
  const named = new Map<string, KeyPair>();
  const wanted: (() => Promise<unknown>)[] = [];
  for (const host of new Set(OUTSIDE.flatMap((server) => server.hosts))) {
    wanted.push(async () => hosts.set(host, await leaf(`host.${host}`, `DNS:${host}`, host.startsWith('private.') ? 'private-ca' : 'ca')));
  }
  for (const domain of CERTIFIED_DOMAINS)
    wanted.push(async () => hosts.set(`*.${domain}`, await leaf(`host.*.${domain}`, `DNS:*.${domain}`)));
  wanted.push(async () => hosts.set('default.invalid', await leaf('host.default.invalid', 'DNS:default.invalid')));
  const others: Record<string, string> = {
    client: 'URI:spiffe://lab/client,DNS:client.example.com',
    'gw-www': 'DNS:www.example.com',
    'gw-api': 'DNS:api.example.com',
    'gw-wild': 'DNS:*.example.org',
    'gw-httpbin': 'DNS:httpbin.example.com',
  };
  for (const [name, san] of Object.entries(others)) wanted.push(async () => named.set(name, await leaf(name, san)));
  // Four at a time: each starts two processes.
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) await next();
    }),
  );
  return { ca: publicCa, privateCa, hosts, named };
}
