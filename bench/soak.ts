/**
 * `npm run bench -- soak [--seconds 600] [--connections 64] [--every 100]`: the data plane under load while its routes and clusters change every so many ms.
 *
 * The configuration comes as files, as Envoy takes it (`path_config_source`). Ends with an error where a request was not answered with 200. Prints resident
 * memory as it goes, and what the last third of the time has added to it.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setInterval as every } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { soakBootstrap, soakResources } from './lib/bootstrap.ts';
import { wrk } from './lib/load.ts';
import { cpuMicros, listening, PROXY_CORE, pinSelf, residentMiB, start, stopAll } from './lib/processes.ts';
import { buildPackage, startUpstream, UPSTREAM } from './lib/proxies.ts';
import { median } from './lib/report.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    connections: { type: 'string', default: '64' },
    every: { type: 'string', default: '100' },
  },
});
const seconds = Number(values.seconds);
const PORTS = { http: 18_600, admin: 18_601 };
const folder = mkdtempSync(join(tmpdir(), 'sallyport-soak-'));
chmodSync(folder, 0o755);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

try {
  pinSelf();
  await startUpstream(folder);
  const served = join(folder, 'xds');
  mkdirSync(served);
  const write = (version: number) => {
    for (const [name, text] of Object.entries(soakResources(version, UPSTREAM.http))) {
      writeFileSync(join(served, `.${name}`), text);
      renameSync(join(served, `.${name}`), join(served, name));
    }
  };
  write(0);
  const config = join(folder, 'bootstrap.json');
  const accessLog = join(folder, 'access.log');
  writeFileSync(config, soakBootstrap(served, PORTS, accessLog));
  const log = join(folder, 'sallyport.log');
  const program = buildPackage(folder);
  const proxy = start(
    'sallyport',
    PROXY_CORE,
    process.execPath,
    [program, 'proxy', '-c', config, '--concurrency', '1', '--status-address', '0'],
    log,
  );
  await listening(PORTS.http, 'sallyport', log);
  const load = wrk(PORTS.http, proxy, { connections: Number(values.connections), seconds });
  const over = new AbortController();
  const changing = changeUntil(over.signal, write);
  const sampling = sampleUntil(over.signal, proxy.pid);
  const { requestsPerSecond, cpuMicrosPerRequest } = await load.catch((error) => failed(error, accessLog)).finally(() => over.abort());
  const [changes, memory] = await Promise.all([changing, sampling]);
  const third = Math.floor(memory.length / 3);
  const [middle, last] = [median(memory.slice(third, 2 * third)), median(memory.slice(2 * third))];
  console.log(
    `${Math.round(requestsPerSecond * seconds)} requests, none lost; ${cpuMicrosPerRequest.toFixed(0)} us of CPU time each, ${changes} changes among it`,
  );
  console.log(
    `${(cpuMicros(proxy.pid) / 1e6).toFixed(1)} s of CPU time; memory in the last third ${last.toFixed(0)} MiB, in the second ${middle.toFixed(0)} MiB (${(last / middle).toFixed(2)} x)`,
  );
} finally {
  await stopAll();
}

/** With what the proxy says of requests that were not answered with 200. */
function failed(error: Error, accessLog: string): never {
  const others = readFileSync(accessLog, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !/" 200 /.test(line));
  throw new Error([error.message, `${others.length} lines of the access log without 200:`, ...others.slice(0, 10)].join('\n'));
}

/** How many changes were made. */
async function changeUntil(signal: AbortSignal, write: (version: number) => void): Promise<number> {
  let version = 0;
  try {
    for await (const _ of every(Number(values.every), undefined, { signal })) write(++version);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return version;
}

/** Resident memory, MiB, a hundred times over the whole. */
async function sampleUntil(signal: AbortSignal, pid: number): Promise<number[]> {
  const samples: number[] = [];
  try {
    for await (const _ of every(seconds * 10, undefined, { signal })) {
      samples.push(residentMiB(pid));
      if (samples.length % 10 === 0) console.log(`${samples.length} %: ${samples.at(-1)!.toFixed(0)} MiB`);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return samples;
}
