/** Runs in network and mount namespaces of its own: the outside, and `sallyport run` with the agent. Arguments: JSON with `seed`, `first`, `count`, `together`, `bound`, `folder`. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../integration/outside.ts';
import { counted, Outside } from './outside.ts';
import { policyOf, VARIABLE } from './policy.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
  readonly together: number;
  /** False shows what comes out where destinations are not bound. */
  readonly bound: boolean;
  readonly folder: string;
}

const ROOT = join(import.meta.dirname, '../../..');
const CREDENTIAL = 'canary-k3Yw9pLm2Z';

const given: WorldOptions = JSON.parse(process.argv[2]!);
const at = (name: string) => join(given.folder, name);

for (const words of ['link set lo up', 'route add local 0.0.0.0/0 dev lo', '-6 route add local ::/0 dev lo'])
  execFileSync('ip', words.split(' '));
writeFileSync(at('resolv.conf'), 'nameserver 127.0.0.1\n');
writeFileSync(at('hosts'), '127.0.0.1 localhost\n');
for (const name of ['resolv.conf', 'hosts']) execFileSync('mount', ['--bind', at(name), `/etc/${name}`]);

const certificate = makeCertificate('seen.allowed.example');
writeFileSync(at('ca.pem'), certificate.cert);
writeFileSync(at('policy.yaml'), JSON.stringify(policyOf(given.bound, at('ca.pem'))));
const outside = new Outside(CREDENTIAL, certificate);
await outside.open();
const before = counted();

const agent = [
  process.execPath,
  join(import.meta.dirname, 'inside.ts'),
  ...[given.seed, given.first, given.count, given.together].map(String),
];
const run = [join(ROOT, 'bin/sallyport.js'), 'run', '--policy', at('policy.yaml'), '--', ...agent];
const log = openSync(at('run.log'), 'w');
const child = spawn(process.execPath, run, { env: { ...process.env, [VARIABLE]: CREDENTIAL }, stdio: ['ignore', 'pipe', log] });
let stdout = '';
child.stdout!.on('data', (piece: Buffer) => (stdout += piece));
const [code] = await once(child, 'close');
await outside.settled(() => counted().connections - before.connections);
const after = counted();
const { account } = outside;
const missed = {
  connections: after.connections - before.connections - account.connections,
  // A question, and its answer.
  datagrams: after.datagrams - before.datagrams - 2 * account.questions,
};
const said = readFileSync(at('run.log'), 'utf8').includes(CREDENTIAL) || stdout.includes(CREDENTIAL);
writeFileSync(at('result.json'), JSON.stringify({ code, ways: JSON.parse(stdout || '{}'), ...account, missed, said }));
process.exit(0);
