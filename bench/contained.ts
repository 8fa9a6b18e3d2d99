/**
 * `npm run bench -- contained`: what containing a command costs. Start: `run -- true`, with a host that is allowed and without, beside `true`, wall clock and the CPU time of all that it starts. Throughput:
 * one client's calls inside, captured and by the proxy's address there, beside the same client at the explicit proxy of `run --cooperative`. All take turns in one run.
 *
 *   node bench/contained.ts [--starts 15] [--rounds 5] [--requests 2000] [--megabytes 512]
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { freePort } from '../src/lib/free-port.ts';
import { ROOT } from './lib/proxies.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '2000' },
    megabytes: { type: 'string', default: '512' },
  },
});
const RUN = [process.execPath, join(ROOT, 'bin/sallyport.js'), 'run'];

function row(name: string, samples: readonly number[], unit: string, digits = 0): void {
  const [least, middle, most] = [Math.min(...samples), median(samples), Math.max(...samples)].map((value) => value.toFixed(digits));
  console.log(`${name.padEnd(52)} ${middle} ${unit} (${least} to ${most})`);
}

/** Seconds of wall clock and CPU, of the words and of all that they wait for. */
async function timed(words: readonly string[]): Promise<{ readonly wall: number; readonly cpu: number }> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" 2>/dev/null';
  const { stderr } = await promisify(execFile)('bash', ['-c', script, 'bash', ...words]);
  const [wall = 0, user = 0, system = 0] = stderr.trim().split(' ').map(Number);
  return { wall, cpu: user + system };
}

async function starts(): Promise<void> {
  const bare: number[] = [];
  const node: number[] = [];
  const ways = [[], ['--allow', 'bench.example']].map((options) => ({ options, wall: [] as number[], cpu: [] as number[] }));
  // The first is there to fill caches.
  for (let i = 0; i <= Number(values.starts); i++) {
    const without = await timed(['true']);
    for (const { options, wall, cpu } of ways) {
      const within = await timed([...RUN, ...options, '--', 'true']);
      if (i === 0) continue;
      wall.push((within.wall - without.wall) * 1000);
      cpu.push(within.cpu * 1000);
    }
    if (i === 0) continue;
    bare.push(without.wall * 1000);
    node.push((await timed([process.execPath, '-e', '0'])).cpu * 1000);
  }
  row('true, alone', bare, 'ms');
  for (const { options, wall, cpu } of ways) {
    const name = ['run', ...options, '-- true'].join(' ');
    row(`${name}, more than alone`, wall, 'ms');
    row(`${name}, CPU`, cpu, 'ms');
  }
  row("of these Node's own start, CPU", node, 'ms');
}

const PIECE = Buffer.alloc(1 << 20, 'x');

async function throughput(): Promise<void> {
  const megabytes = Number(values.megabytes);
  const server = createServer((request, response) => {
    if (!request.url?.startsWith('/big')) {
      response.end('x'.repeat(256));
      return;
    }
    response.setHeader('content-length', megabytes * PIECE.length);
    let left = megabytes;
    const more = () => {
      while (left-- > 0) if (!response.write(PIECE)) return;
      response.end();
    };
    response.on('drain', more);
    more();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    const policy = join(folder, 'policy.json');
    const endpoints = [{ address: '127.0.0.1', ports: { http: (server.address() as AddressInfo).port } }];
    const spec = { hosts: ['bench.example'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'STATIC', endpoints };
    const metadata = { name: 'bench', namespace: 'default' };
    writeFileSync(policy, JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec }));
    const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0'];
    const cooperative = ['--cooperative', '--proxy-address', String(await freePort()), ...none];
    const outside = '$(cut -d" " -f4 /proc/$PPID/stat)';
    const ways: readonly Way[] = [
      { name: 'the explicit proxy', options: cooperative, client: 'curl', proxy: '$PPID', samples: [] },
      { name: 'inside, by the proxy there', options: [], client: 'curl', proxy: outside, samples: [] },
      { name: 'inside, captured', options: [], client: "curl --noproxy '*'", proxy: outside, samples: [] },
    ];
    for (let round = 0; round < Number(values.rounds); round++) for (const way of ways) await measure(way, policy);
    for (const [figure, unit, digits] of FIGURES) {
      const of = (way: Way) => way.samples.map((sample) => sample[figure]);
      for (const way of ways) {
        const ratio = median(of(way).map((value, i) => value / of(ways[0]!)[i]!)).toFixed(2);
        row(`${way.name} (median of the ratios ${ratio})`, of(way), unit, digits);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
    server.close();
  }
}

const FIGURES = [
  ['requests', 'requests/s', 0],
  ['requestCpu', 'µs of CPU a request', 0],
  ['megabytes', 'MB/s', 0],
  ['gigabyteCpu', 's of CPU a GB', 2],
] as const;

interface Way {
  readonly name: string;
  readonly options: readonly string[];
  readonly client: string;
  /** The process that proxies, as the command's shell knows it. */
  readonly proxy: string;
  readonly samples: Readonly<Record<(typeof FIGURES)[number][0], number>>[];
}

/** Of proc_pid_stat(5). */
const TICKS_PER_SECOND = 100;

/** One connection's requests one after the other, and one download. */
async function measure({ options, client, proxy, samples }: Way, policy: string): Promise<void> {
  const count = Number(values.requests);
  const script = `proxy=${proxy}; at() { date +%s%N; cut -d' ' -f14,15 /proc/$proxy/stat; }
    at; ${client} -sSf -o /dev/null 'http://bench.example/[1-${count}]' >/dev/null; at
    ${client} -sSf -o /dev/null http://bench.example/big; at`;
  const [program, ...rest] = [...RUN, ...options, policy, '--', 'bash', '-ec', script];
  const { stdout } = await promisify(execFile)(program!, rest);
  const [start, requested, downloaded] = stdout
    .trim()
    .replaceAll(/(\d+)\n(\d+) (\d+)/g, '$1 $2 $3')
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [ns: number, user: number, system: number])
    .map(([ns, user, system]) => ({ seconds: ns / 1e9, cpu: (user + system) / TICKS_PER_SECOND }));
  const gigabytes = (Number(values.megabytes) * PIECE.length) / 1e9;
  samples.push({
    requests: count / (requested!.seconds - start!.seconds),
    requestCpu: ((requested!.cpu - start!.cpu) / count) * 1e6,
    megabytes: (gigabytes * 1000) / (downloaded!.seconds - requested!.seconds),
    gigabyteCpu: (downloaded!.cpu - requested!.cpu) / gigabytes,
  });
}

await starts();
if (Number(values.rounds) > 0) await throughput();
