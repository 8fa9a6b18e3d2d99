/** For tests of the sandbox: witnesses outside that answer whoever reaches them, and `run` as one user or another. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { needs } from '../integration/tools.ts';

export type User = 'daemon' | 'nobody' | 'root';
/** Of those that are not root, the ids that Linux distributions give them. */
const IDS = { daemon: 1, nobody: 65534 } as const;

export interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

export interface Witnesses {
  /** Where a declared host has its server. */
  readonly declaredPort: number;
  /** What came to a witness, by its name. */
  readonly visits: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const ROOT = join(import.meta.dirname, '../..');

/** Why a test of the sandbox cannot run as this user, or false; in CI it throws. */
export function sandboxNeeds(user: User): string | false {
  const missing = needs('unshare', 'curl', 'timeout', ...(user === 'root' ? ['root'] : process.getuid?.() === 0 ? ['setpriv'] : []));
  if (missing) return missing;
  const [program, ...rest] = [...asUser(user), 'unshare', '-U', '-r', '-n', '-m', 'true'];
  const { status, stderr } = spawnSync(program!, rest, { encoding: 'utf8' });
  if (status === 0) return false;
  const reason = `no namespaces can be had here: ${stderr.trim()}`;
  if (process.env.CI) throw new Error(`needed in CI: ${reason}`);
  return reason;
}

/** Runs the words that follow as this user. */
export function asUser(user: User): string[] {
  if (user === 'root' || process.getuid?.() !== 0) return [];
  return ['setpriv', `--reuid=${IDS[user]}`, `--regid=${IDS[user]}`, '--clear-groups', '--'];
}

/** Servers on every address of this machine, TCP, UDP and an abstract unix socket, and one that may be called. */
export async function witnesses(t: TestContext): Promise<Witnesses> {
  const visits: string[] = [];
  const tcp = createServer((socket) => {
    visits.push(`TCP ${socket.localAddress}`);
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 8\r\n\r\nREACHED\n');
  });
  const abstract = createServer((socket) => {
    visits.push('abstract unix socket');
    socket.on('error', () => undefined);
    socket.end('REACHED\n');
  });
  const declared = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 17\r\n\r\ndeclared answers\n'));
  });
  const udp = createSocket({ type: 'udp6', ipv6Only: false });
  udp.on('message', (_message, { port, address }) => {
    visits.push('UDP');
    udp.send('REACHED', port, address);
  });
  const name = `sallyport-witness-${process.pid}`;
  const port = await listening(t, tcp, { host: '::', port: 0 });
  await listening(t, abstract, { path: `\0${name}` });
  const declaredPort = await listening(t, declared, { host: '127.0.0.1', port: 0 });
  udp.bind(0);
  await once(udp, 'listening');
  t.after(() => udp.close());
  const host =
    Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
  return {
    declaredPort,
    visits,
    environment: { WITNESS_HOST: host, WITNESS_PORT: String(port), WITNESS_UDP: String(udp.address().port), WITNESS_ABSTRACT: name },
  };
}

async function listening(t: TestContext, server: Server, where: object): Promise<number> {
  server.listen(where);
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export interface Sandboxed {
  readonly environment?: Readonly<Record<string, string>>;
  /** Port of 127.0.0.1 at which declared.example is. */
  readonly declared?: number;
  readonly options?: readonly string[];
  /** Runs the program. */
  readonly around?: readonly string[];
  /** Read in place of /etc/resolv.conf; only root can have it so, whoever runs the command. */
  readonly resolvConf?: string;
  /** What the command reads. */
  readonly input?: string;
  /** What happens meanwhile; `seen` resolves once standard output holds the text. */
  readonly during?: (child: ChildProcess, seen: (text: string) => Promise<void>) => Promise<void>;
}

export interface SandboxedResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function withResolvConf(file: string): string[] {
  return ['unshare', '-m', 'sh', '-c', `mount --bind ${file} /etc/resolv.conf && exec "$@"`, 'sh'];
}

/** `sallyport run`. */
export async function runSandboxed(t: TestContext, user: User, words: readonly string[], given: Sandboxed = {}): Promise<SandboxedResult> {
  const { declared, environment = {}, options = [], around = [], resolvConf, input, during } = given;
  const paths = declared === undefined ? [] : [policyFile(t, declared)];
  const [program, ...rest] = [
    ...(resolvConf === undefined ? [] : withResolvConf(resolvConf)),
    ...asUser(user),
    ...around,
    process.execPath,
    join(ROOT, 'bin/sallyport.js'),
    'run',
    ...options,
    ...paths,
    '--',
    ...words,
  ];
  const child = spawn(program!, rest, {
    env: {
      HOME: tmpdir(),
      PATH: `${join(process.execPath, '..')}:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      ...environment,
    },
    stdio: [input === undefined && !during ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  if (input !== undefined) child.stdin!.end(input);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name]!.setEncoding('utf8').on('data', (piece: string) => (text[name] += piece));
  const closed = once(child, 'close');
  const seen = async (part: string) => {
    while (!text.stdout.includes(part)) await Promise.race([once(child.stdout!, 'data'), closed.then(() => assert.fail(text.stderr))]);
  };
  await during?.(child, seen);
  const [code] = (await closed) as [number | null];
  return { code, ...text };
}

/** Resources that declare declared.example, at this port of 127.0.0.1. */
export function policyFile(t: TestContext, port: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const file = join(folder, 'policy.yaml');
  const endpoints = [{ address: '127.0.0.1', ports: { http: port } }];
  const spec = { hosts: ['declared.example'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'STATIC', endpoints };
  const entry = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'declared', namespace: 'default' }, spec };
  writeFileSync(file, JSON.stringify(entry));
  return file;
}
