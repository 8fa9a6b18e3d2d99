/** The table of verdicts: one policy, one list of calls, and every way in which the product decides on them, in a network namespace with an outside world. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { explain } from '../../src/prove/explain.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import { PROGRAM, Program } from '../integration/cli/program.ts';
import { needs } from '../integration/tools.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { ADDRESSES, ALLOWED, CALLS, type Call, DIFFERENCES, EVALUATORS, type Evaluator, LIST, POLICIES } from './table.ts';

const envoy = findEnvoy();
const skip = needs('root', 'ip', 'iptables', 'ip6tables', 'openssl', 'setpriv') || (envoy === undefined && 'no Envoy here: set ENVOY');

const NAME_SERVER = '11.0.0.53';
/** Users whose TCP is redirected to the one engine and the other. */
const APPLICATIONS = { embedded: 65534, envoy: 65533 } as const;
const CAPTURE = { embedded: 15001, envoy: 15101 } as const;
const DNS = '127.0.0.1:15053';
/** Of `up` here, and of `run` inside. */
const PROXY = { host: '127.0.0.1', port: 15080 };

type Words = readonly [string, ...string[]];
type Results = Readonly<Record<string, string>>;

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

interface World {
  readonly inside: Words;
  readonly list: string;
  readonly policies: string;
  readonly resources: string;
  readonly mesh: string;
}

async function world(t: TestContext): Promise<World> {
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
  return { inside, list: at('list.yaml'), policies: at('policies.yaml'), resources: at('resources.yaml'), mesh: at('mesh.yaml') };
}

interface Client {
  readonly resolver?: string;
  readonly proxy?: { readonly host: string; readonly port: number };
}

/** The words that make all calls, for whoever runs them. */
function client(how: Client): Words {
  return [process.execPath, join(import.meta.dirname, 'client.mjs'), JSON.stringify({ calls: CALLS, ...how })];
}

async function results([program, ...args]: Words): Promise<Results> {
  const { stdout } = await promisify(execFile)(program, args);
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

function asUser(uid: number): Words {
  return ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--'];
}

/** By `run`, which has its own mesh. */
function byRun({ inside, list, policies }: World, how: Client): Promise<Results> {
  const options = ['--policy', list, ...ALLOWED.flatMap((each) => ['--allow', each])];
  return results([...inside, process.execPath, PROGRAM, 'run', ...options, policies, '--', ...client(how)]);
}

/** What `explain` says of each call, over the resources that the list stands for. */
function byExplain({ resources }: World): Results {
  const snapshot = snapshotFromText(readFileSync(resources, 'utf8'));
  const files = simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const verdictOn = ({ kind, host, port, method = 'GET', path = '', authority, sni }: Call) => {
    const headers = authority === undefined ? [] : [`host: ${authority}`];
    const url = `${kind}://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`;
    const { outcome } = explain(files, parseTarget(url, { method, headers, serverName: sni, httpVersion: '1.1' }), {}).trace;
    return { upstream: 'reached', reply: 'refused', closed: 'refused', undecided: 'undecided' }[outcome.kind];
  };
  return Object.fromEntries(CALLS.map((call) => [call.name, verdictOn(call)]));
}

test('one policy has the same verdicts in run, in up, on a stock Envoy and in explain', { skip, timeout: 200_000 }, async (t) => {
  const given = await world(t);
  const { inside, resources, mesh } = given;
  const up = async (...options: string[]) => {
    const program = new Program(['up', resources, '--mesh-config', mesh, ...options], [...inside, process.execPath, PROGRAM]);
    t.after(() => program.end());
    await program.says(/: ready/);
  };
  await up();
  const none = ['--proxy-address', '0', '--dns-address', '0', '--status-address', '0', '--admin-address', '127.0.0.1:15100'];
  await up('--engine', 'envoy', '--envoy', envoy!, '--capture-port', String(CAPTURE.envoy), '--router-address', '127.0.110.1', ...none);
  const made: Readonly<Record<Evaluator, Results>> = {
    'run captured': await byRun(given, {}),
    'run proxy': await byRun(given, { proxy: PROXY }),
    'up captured': await results([...inside, ...asUser(APPLICATIONS.embedded), ...client({ resolver: DNS })]),
    'up proxy': await results([...inside, ...client({ proxy: PROXY })]),
    envoy: await results([...inside, ...asUser(APPLICATIONS.envoy), ...client({ resolver: DNS })]),
    explain: byExplain(given),
  };
  assert.ok(CALLS.length >= 25);
  const others = EVALUATORS.flatMap((evaluator) =>
    CALLS.filter(({ name, verdict }) => made[evaluator][name] !== verdict).map(({ name }) => `${evaluator}: ${name}`),
  );
  const listed = DIFFERENCES.flatMap(({ evaluators, calls }) => evaluators.flatMap((each) => calls.map((name) => `${each}: ${name}`)));
  assert.deepEqual(others.sort(), listed.sort());
  const opposite = { reached: 'refused', refused: 'reached' };
  for (const { evaluators, calls } of DIFFERENCES)
    for (const { name, verdict } of CALLS.filter((call) => calls.includes(call.name)))
      for (const each of evaluators) assert.equal(made[each][name], opposite[verdict], `${each}: ${name}`);
});
