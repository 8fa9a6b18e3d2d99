/**
 * `npm run bench -- audit`: what an audit costs a call. Two proxies on one bootstrap, one of them with `--audit`, take turns under the same load: CPU time a request of
 * the whole process, the thread that hashes, writes and signs included, and requests/s. With two cores the proxies have core 0, load and upstream share core 1.
 *
 *   node bench/audit.ts [--rounds 5] [--seconds 5] [--connections 64]
 */
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { verifyFolder } from '../src/audit/verify-folder.ts';
import { type Throughput, wrk } from './lib/load.ts';
import { listening, pinSelf, stopAll } from './lib/processes.ts';
import { buildPackage, type Ports, sallyport, startUpstream, UPSTREAM } from './lib/proxies.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
chmodSync(folder, 0o755);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const audit = join(folder, 'audit');
const key = join(folder, 'audit.pem');
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
writeFileSync(key, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });

const PORTS: Ports = { http: 18_500, tls: 0, tcp: 0, admin: 18_503, http2: 0, termination: 0, handshakes: 0 };
const AUDITED: Ports = { http: 18_510, tls: 0, tcp: 0, admin: 18_513, http2: 0, termination: 0, handshakes: 0 };

interface Sample {
  readonly without: Throughput;
  readonly audited: Throughput;
}

async function measured(): Promise<readonly Sample[]> {
  const program = buildPackage(folder);
  await startUpstream(folder);
  const without = sallyport(folder, program).start(PORTS, { http: UPSTREAM.http }, 'without');
  const audited = sallyport(folder, program, [], 'sallyport', ['--audit', audit, '--audit-key', key]).start(
    AUDITED,
    { http: UPSTREAM.http },
    'audited',
  );
  await listening(PORTS.http, 'the proxy', join(folder, 'sallyport-without.log'));
  await listening(AUDITED.http, 'the audited proxy', join(folder, 'sallyport-audited.log'));
  const samples: Sample[] = [];
  const connections = Number(values.connections);
  // The first is there to warm up.
  for (let round = 0; round <= Number(values.rounds); round++) {
    const seconds = round === 0 ? 2 : Number(values.seconds);
    const sample = {
      without: await wrk(PORTS.http, without, { connections, seconds }),
      audited: await wrk(AUDITED.http, audited, { connections, seconds }),
    };
    if (round > 0) samples.push(sample);
  }
  await audited.terminate();
  return samples;
}

function row(name: string, unit: string, of: (one: Throughput) => number, samples: readonly Sample[]): void {
  const without = samples.map((sample) => of(sample.without));
  const audited = samples.map((sample) => of(sample.audited));
  const ratios = samples.map((_, i) => audited[i]! / without[i]!);
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(
    `${name.padEnd(24)} ${median(without).toFixed(1)} ${unit} without, ${median(audited).toFixed(1)} with: ratio ${median(ratios).toFixed(2)} (${range})`,
  );
}

try {
  pinSelf();
  const samples = await measured();
  row('CPU a request', 'µs', ({ cpuMicrosPerRequest }) => cpuMicrosPerRequest, samples);
  row('requests/s', '', ({ requestsPerSecond }) => requestsPerSecond, samples);
  const bytes = readdirSync(audit).reduce((sum, name) => sum + statSync(join(audit, name)).size, 0);
  const { problems, ended, calls } = verifyFolder(audit, { keys: [publicKey], from: 1, expect: undefined });
  console.log(
    `the chain: ${calls} calls, ${(bytes / calls).toFixed(0)} bytes each, ${problems.length === 0 && ended ? 'whole' : 'not whole'}`,
  );
} finally {
  await stopAll();
}
