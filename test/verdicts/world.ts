/** The policy of the table in a network namespace with an outside world, for whoever decides on its calls. */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { PROGRAM, Program } from '../integration/cli/program.ts';
import { needs } from '../integration/tools.ts';
import { ADDRESSES, ALLOWED, CALLS, type Call, LIST, POLICIES } from './table.ts';

export const envoy = findEnvoy();
export const skip =
  needs('root', 'ip', 'iptables', 'ip6tables', 'openssl', 'setpriv') || (envoy === undefined && 'no Envoy here: set ENVOY');

const NAME_SERVER = '11.0.0.53';
/** Users whose TCP is redirected to the one engine and the other. */
export const APPLICATIONS = { embedded: 65534, envoy: 65533 } as const;
const CAPTURE = { embedded: 15001, envoy: 15101 } as const;
export const DNS = '127.0.0.1:15053';
/** Of `up` here, and of `run` inside. */
export const PROXY = { host: '127.0.0.1', port: 15080 };

export type Words = readonly [string, ...string[]];
export type Results = Readonly<Record<string, string>>;

/** A namespace that has the outside world's addresses, and what runs a program in it. */
function namespace(t: TestContext, folder: string): Words {
  const name = `sallyport-verdicts-${process.pid}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  ip('netns', 'add', name);
  t.after(() => ip('netns', 'del', name));
  ip('-n', name, 'link', 'set', 'lo', 'up');
  for (const address of [...ADDRESSES, NAME_SERVER]) ip('-n', name, 'addr', 'add', address, 'dev', 'lo');
  // A way for packets that are to be redirected.
  for (const family of ['-4', '-6']) ip(family, '-n', name, 'route', 'add', 'default', 'dev', 'lo');
  for (const [engine, uid] of Object.entries(APPLICATIONS)) {
    const port = String(CAPTURE[engine as keyof typeof CAPTURE]);
    for (const [tables, loopback] of [
      ['iptables', '127.0.0.0/8'],
      ['ip6tables', '::1'],
    ] as const) {
      const rule = ['-p', 'tcp', '-m', 'owner', '--uid-owner', String(uid), '!', '-d', loopback, '-j', 'REDIRECT', '--to-ports', port];
      ip('netns', 'exec', name, tables, '-t', 'nat', '-A', 'OUTPUT', ...rule);
    }
  }
  const resolvConf = join(folder, 'resolv.conf');
  writeFileSync(resolvConf, `nameserver ${NAME_SERVER}\n`);
  return ['ip', 'netns', 'exec', name, 'sh', '-c', `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`, 'sh'];
}

export interface World {
  readonly folder: string;
  readonly inside: Words;
  readonly list: string;
  readonly policies: string;
  readonly resources: string;
  readonly mesh: string;
}

export async function world(t: TestContext): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-verdicts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const at = (name: string) => join(folder, name);
  const inside = namespace(t, folder);
  const own = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=outside', '-days', '2'];
  execFileSync('openssl', ['req', ...own, '-keyout', at('key.pem'), '-out', at('cert.pem')], { stdio: 'ignore' });
  const outside = new Program(
    [join(import.meta.dirname, 'outside.ts'), NAME_SERVER, at('cert.pem'), at('key.pem')],
    [...inside, process.execPath],
  );
  t.after(() => outside.end());
  await outside.says(/serving/, 'output');
  writeFileSync(at('list.yaml'), LIST);
  writeFileSync(at('mesh.yaml'), 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }\n');
  writeFileSync(at('policies.yaml'), POLICIES);
  const words = ['allow', ...ALLOWED, '--policy', at('list.yaml'), at('policies.yaml')];
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...words]);
  writeFileSync(at('resources.yaml'), stdout);
  return { folder, inside, list: at('list.yaml'), policies: at('policies.yaml'), resources: at('resources.yaml'), mesh: at('mesh.yaml') };
}

export interface Client {
  readonly resolver?: string;
  readonly proxy?: { readonly host: string; readonly port: number };
}

/** The words that make calls, all if not said otherwise, for whoever runs them. */
export function client(how: Client, calls: readonly Call[] = CALLS): Words {
  return [process.execPath, join(import.meta.dirname, 'client.mjs'), JSON.stringify({ calls, ...how })];
}

export async function results([program, ...args]: Words): Promise<Results> {
  const { stdout } = await promisify(execFile)(program, args);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

export function asUser(uid: number): Words {
  return ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--'];
}

/** A mesh of the policy that has come into force. */
export async function startUp(t: TestContext, { inside, resources, mesh }: World, ...options: readonly string[]): Promise<Program> {
  const program = new Program(['up', resources, '--mesh-config', mesh, ...options], [...inside, process.execPath, PROGRAM]);
  t.after(() => program.end());
  await program.says(/: ready/);
  return program;
}

/** For an `up` beside another one. */
export const ON_ENVOY = [
  ...['--engine', 'envoy', '--envoy', envoy ?? '', '--capture-port', String(CAPTURE.envoy), '--router-address', '127.0.110.1'],
  ...['--proxy-address', '0', '--dns-address', '0', '--status-address', '0', '--admin-address', '127.0.0.1:15100'],
] as const;
