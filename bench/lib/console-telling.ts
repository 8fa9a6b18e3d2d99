/**
 * What it costs a thread that carries traffic to tell consoles of its calls: CPU time of a thread that ends so many calls a second and does nothing else, watched
 * and unwatched in turns. Neither sockets nor other threads' work are in it, so that what is left is the thread's own.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { FlowBatches } from '../../src/proxy/flow-batches.ts';
import { DataPlaneFlows } from '../../src/proxy/flow-source.ts';
import { downstreamOf } from '../../src/proxy/http/testing.ts';
import { newRecord } from '../../src/proxy/record.ts';
import type { AccessRecord, UpstreamHost } from '../../src/proxy/types.ts';
import { median } from './report.ts';

/** Calls a second. */
const RATE = 10_000;
const TURNS = 16;
const TURN_MS = 1_500;
/** At the start of a turn: what was saved up for a pause is told then. */
const SETTLING_MS = 300;
/** Calls come in bursts, as a loop finds them. */
const BURST_MS = 5;

/** Resolves with µs a call. */
export async function costOfTelling(): Promise<number> {
  const worker = new Worker(new URL(import.meta.url));
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', (message: { readonly count: number } | { readonly micros: number }) => {
      // As the main thread answers.
      if ('count' in message) worker.postMessage(message);
      else void worker.terminate().then(() => resolve(message.micros));
    });
  });
}

if (!isMainThread) void measured();

async function measured(): Promise<void> {
  const port = parentPort!;
  const batches = new FlowBatches((flows, dropped) => port.postMessage({ count: flows.length, flows, dropped }));
  port.on('message', ({ count }: { readonly count: number }) => batches.taken(count));
  const source = new DataPlaneFlows({
    workload: 'default/local',
    now: () => performance.now(),
    date: Date.now,
    nameOf: () => undefined,
  });
  const turn = async (isWatched: boolean): Promise<number> => {
    if (isWatched) source.watch(batches.add, { leftOut: batches.leave, later: batches.later });
    else source.watch(undefined);
    return microsOfCalls(source);
  };
  const more: number[] = [];
  for (let i = 0; i < TURNS; i++) {
    const without = await turn(false);
    more.push((await turn(true)) - without);
  }
  port.postMessage({ micros: median(more) });
}

/** CPU time of the thread for each call. */
async function microsOfCalls(source: DataPlaneFlows): Promise<number> {
  await calls(source, SETTLING_MS);
  const before = process.threadCpuUsage();
  const count = await calls(source, TURN_MS);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / count;
}

/** Returns how many. */
async function calls(source: DataPlaneFlows, ms: number): Promise<number> {
  const start = performance.now();
  let count = 0;
  for (let passed = 0; passed < ms; passed = performance.now() - start) {
    const open: AccessRecord[] = [];
    for (; count < (passed / 1000) * RATE; count++) {
      const record = newCall();
      source.begin(record);
      open.push(record);
    }
    for (const record of open) {
      record.ended = performance.now();
      source.record(record);
    }
    await new Promise((resolve) => setTimeout(resolve, BURST_MS));
  }
  return count;
}

const ORIGIN = { kind: 'ServiceEntry', namespace: 'default', name: 'www', file: 'egress.yaml', line: 1 };

function newCall(): AccessRecord {
  const downstream = downstreamOf({} as never, 1, {
    remoteAddress: { ip: '127.0.0.1', port: 40_000 },
    localAddress: { ip: '198.51.100.7', port: 443 },
  });
  return Object.assign(newRecord(downstream, Date.now(), performance.now()), {
    protocol: 'HTTP/1.1',
    method: 'GET',
    path: '/orders?page=2',
    authority: 'www.example.com',
    scheme: 'http',
    responseCode: 200,
    upstreamCluster: 'outbound|80||www.example.com',
    upstreamHost: { address: { ip: '127.0.0.1', port: 8080 } } as UpstreamHost,
    routeName: 'orders',
    routeMetadata: { sallyport: { origins: [{ ...ORIGIN, kind: 'VirtualService' }] } },
    clusterMetadata: { sallyport: { origins: [ORIGIN] } },
  });
}
