/** What is measured. Within a scenario the proxies take turns, so that a change of the machine's mood meets all of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BURDENS } from './burdens.ts';
import {
  answers,
  bulk,
  constantRate,
  download,
  type Http2Load,
  h2load,
  idleConnections,
  resumed,
  slowDownload,
  type Throughput,
  wrk,
} from './load.ts';
import { cpuMicros, listening, type Running, residentMiB, tailOf } from './processes.ts';
import { type Contestant, type Ports, UPSTREAM } from './proxies.ts';
import type { Report } from './report.ts';

export const HTTP = (connections: number) => `http/1.1 keep-alive, ${connections} ${connections === 1 ? 'connection' : 'connections'}`;
export const TLS = 'http/1.1 with TLS origination';
export const TERMINATION = 'http/1.1 with TLS termination';
export const HANDSHAKES = 'a TLS handshake for each request';
export const RESUMED = 'a resumed TLS session for each request';
export const NEW = 'a connection for each request';
export const BURDEN = (name: string) => `http/1.1 with ${name}`;
export const TCP = 'tcp, one stream';
export const HTTP2_TO_1 = 'http/2 to http/1.1';
export const HTTP2 = 'http/2 to http/2';
export const GRPC = 'grpc, unary calls';
export const BESIDE = '300 requests/s beside a tcp stream';
export const BODY = 'http/1.1, one large response';
export const PAIR = 'sidecar and gateway, 1,000 requests/s';
export const START = 'start to first answered request';
export const MEMORY = '1,000 idle connections';
export const SLOW = 'a slow reader of 10 GB';

export interface Bench {
  readonly folder: string;
  readonly contestants: readonly Contestant[];
  readonly repeats: number;
  readonly seconds: number;
  /** Connections of the HTTP loads: keep-alive is measured with each of these, the others with the last. */
  readonly connections: readonly number[];
  readonly report: Report;
}

const CLOSE = ['Connection: close'];

export type Started = ReadonlyMap<Contestant, Running>;

export async function startAll({ contestants, folder }: Bench): Promise<Started> {
  const started = new Map<Contestant, Running>();
  for (const each of contestants) {
    started.set(each, each.start(each.ports, UPSTREAM, 'main'));
    await listening(each.ports.http, each.name, logOf(folder, each.name, 'main'));
  }
  return started;
}

function logOf(folder: string, name: string, role: string): string {
  return join(folder, `${name}-${role}.log`);
}

/** HTTP/1.1 in, over kept-alive connections, to an upstream in plaintext. */
export async function http(bench: Bench, started: Started): Promise<void> {
  for (const connections of bench.connections)
    await inTurns(bench, [...started], HTTP(connections), ({ http: port }, running, seconds) =>
      wrk(port, running, { connections, seconds }),
    );
}

/** HTTP/1.1 in, TLS to the upstream. */
export async function tlsOrigination(bench: Bench, started: Started): Promise<void> {
  const connections = bench.connections.at(-1)!;
  await inTurns(bench, [...started], TLS, ({ tls: port }, running, seconds) => wrk(port, running, { connections, seconds }));
}

/** TLS in, plaintext to the upstream: over kept-alive connections, with a whole handshake for each request, and with a resumed session for each. */
export async function tlsTermination(bench: Bench, started: Started): Promise<void> {
  const connections = bench.connections.at(-1)!;
  const http = { connections, tls: true };
  await inTurns(bench, [...started], TERMINATION, ({ termination }, running, seconds) => wrk(termination, running, { ...http, seconds }));
  await inTurns(bench, [...started], HANDSHAKES, ({ handshakes }, running, seconds) =>
    wrk(handshakes, running, { ...http, seconds, headers: CLOSE }),
  );
  await inTurns(bench, [...started], RESUMED, ({ termination }, running, seconds) => resumed(termination, running, { ...http, seconds }));
}

/** A connection for each request. */
export async function newConnections(bench: Bench, started: Started): Promise<void> {
  const connections = bench.connections.at(-1)!;
  await inTurns(bench, [...started], NEW, ({ http: port }, running, seconds) =>
    wrk(port, running, { connections, seconds, headers: CLOSE }),
  );
}

/** What routes and listeners ask for beside passing requests on. */
export async function burdens(bench: Bench): Promise<void> {
  const connections = bench.connections.at(-1)!;
  const started = new Map<Contestant, Running>();
  for (const each of bench.contestants.filter(({ pairs }) => pairs)) {
    const burdensFrom = each.ports.http + 60;
    started.set(each, each.start(each.ports, { http: UPSTREAM.http, burdensFrom }, 'burdens'));
    await listening(burdensFrom, each.name, logOf(bench.folder, each.name, 'burdens'), 60_000);
  }
  // Round by round, so that each stands beside the one with nothing more.
  for (let round = 0; round < bench.repeats; round += 1)
    for (const [i, { name, requestHeaders: headers }] of BURDENS.entries())
      await inTurns({ ...bench, repeats: 1 }, [...started], BURDEN(name), (ports, running, seconds) =>
        wrk(ports.http + 60 + i, running, { connections, seconds, headers }),
      );
  for (const running of started.values()) await running.stop();
}

type Load = (ports: Ports, running: Running, seconds: number) => Promise<Throughput>;

/** Proxies take turns, so that all have the same machine. */
async function inTurns(
  { report, repeats, seconds }: Bench,
  started: readonly (readonly [Contestant, Running])[],
  scenario: string,
  load: Load,
): Promise<void> {
  // Pools fill, code gets compiled.
  for (const [{ ports }, running] of started) await load(ports, running, 2);
  for (let i = 0; i < repeats; i += 1) {
    for (const [{ name, ports }, running] of started) {
      const { requestsPerSecond, cpuMicrosPerRequest } = await load(ports, running, seconds);
      report.add(scenario, name, 'requests/s', 'more', requestsPerSecond);
      report.add(scenario, name, 'CPU us/request', 'less', cpuMicrosPerRequest);
    }
  }
}

/** Requests a second and CPU time a request over HTTP/2: of one connection with many streams, as a pool has it. */
export async function http2(bench: Bench, started: Started): Promise<void> {
  const { folder } = bench;
  const body = join(folder, 'call');
  writeFileSync(body, Buffer.concat([Buffer.from([0, 0, 0, 0, 11]), Buffer.from('hello bench')]));
  const loads: readonly (readonly [scenario: string, portOf: (ports: Ports) => number, load: Http2Load])[] = [
    [HTTP2_TO_1, (ports) => ports.http, { connections: 4, streams: 16, path: '/' }],
    [HTTP2, (ports) => ports.http2, { connections: 4, streams: 16, path: '/' }],
    [GRPC, (ports) => ports.http2, { connections: 4, streams: 16, path: '/bench.Echo/Call', body }],
  ];
  const able = [...started].filter(([{ ports }]) => ports.http2 > 0);
  for (const [scenario, portOf, load] of loads)
    await inTurns(bench, able, scenario, (ports, running, seconds) => h2load(portOf(ports), running, load, seconds));
}

/** One large download. */
export async function transfer(
  { report, repeats }: Bench,
  started: Started,
  scenario: string,
  portOf: (ports: Ports) => number,
): Promise<void> {
  for (let i = 0; i < repeats; i += 1) {
    for (const [{ name, ports }, running] of started) {
      if (portOf(ports) === 0) continue;
      const { gigabitsPerSecond, cpuSecondsPerGigabyte } = await download(portOf(ports), running);
      report.add(scenario, name, 'Gbit/s', 'more', gigabitsPerSecond);
      report.add(scenario, name, 'CPU s/GB', 'less', cpuSecondsPerGigabyte);
    }
  }
}

/** Latency of small requests while a TCP stream takes what it can get. */
export async function beside({ report, repeats, seconds }: Bench, started: Started): Promise<void> {
  for (let i = 0; i < repeats; i += 1) {
    for (const [{ name, ports }] of started) {
      if (ports.tcp === 0) continue;
      const stream = bulk(ports.tcp);
      const { p50, p99 } = await constantRate(ports.http, 300, 16, seconds);
      stream.stop();
      report.add(BESIDE, name, 'p50 ms', 'less', p50);
      report.add(BESIDE, name, 'p99 ms', 'less', p99);
    }
  }
}

/** Milliseconds after which a process counts as idle. */
const SETTLED = 40_000;

/** In processes of their own, so that what other scenarios left in a heap does not count. */
export async function memory({ folder, contestants, repeats, report }: Bench): Promise<void> {
  for (let i = 0; i < repeats; i += 1) {
    for (const each of contestants) {
      const running = each.start(each.ports, UPSTREAM, 'memory');
      await listening(each.ports.http, each.name, logOf(folder, each.name, 'memory'));
      report.add(MEMORY, each.name, 'MiB before them', 'less', residentMiB(running.pid));
      const close = await idleConnections(each.ports.http, 1000);
      await delay(SETTLED);
      report.add(MEMORY, each.name, 'MiB', 'less', residentMiB(running.pid));
      close();
      await running.stop();
    }
  }
}

/** The proxies have an upstream that sends faster than the client reads. */
export async function slowReader({ folder, contestants, report }: Bench): Promise<void> {
  for (const each of contestants) {
    const running = each.start(each.ports, UPSTREAM, 'slow');
    await listening(each.ports.http, each.name, logOf(folder, each.name, 'slow'));
    const before = residentMiB(running.pid, true);
    await slowDownload(each.ports.http);
    report.add(SLOW, each.name, 'MiB more than before', 'less', residentMiB(running.pid, true) - before);
    await running.stop();
  }
}

export async function start({ folder, contestants, repeats, report }: Bench): Promise<void> {
  for (let i = 0; i < repeats; i += 1) {
    for (const each of contestants) {
      const running = each.start(each.ports, UPSTREAM, 'start');
      const end = running.started + 20_000;
      while (!(await answers(each.ports.http))) {
        if (performance.now() > end) throw new Error(`${each.name} does not answer:\n${tailOf(logOf(folder, each.name, 'start'))}`);
        await delay(2);
      }
      report.add(START, each.name, 'ms', 'less', performance.now() - running.started);
      // What other work on the machine disturbs less.
      report.add(START, each.name, 'CPU ms', 'less', cpuMicros(running.pid) / 1000);
      await running.stop();
    }
  }
}

/** Two proxies of one kind in a row, as an egress call meets them; both on the proxies' core. */
export async function pair({ folder, contestants, repeats, seconds, report }: Bench): Promise<void> {
  for (const each of contestants) {
    if (each.pairs) {
      const sidecarPorts = {
        ...each.ports,
        http: each.ports.http + 50,
        tls: 0,
        tcp: 0,
        termination: 0,
        handshakes: 0,
        admin: each.ports.admin + 50,
      };
      const gateway = each.start({ ...each.ports, tcp: 0 }, { http: UPSTREAM.http }, 'gateway');
      const sidecar = each.start(sidecarPorts, { http: each.ports.http }, 'sidecar');
      await listening(each.ports.http, each.name, logOf(folder, each.name, 'gateway'));
      await listening(sidecarPorts.http, each.name, logOf(folder, each.name, 'sidecar'));
      await constantRate(sidecarPorts.http, 1000, 32, 3);
      for (let i = 0; i < repeats; i += 1) {
        const { p50, p99, p999 } = await constantRate(sidecarPorts.http, 1000, 32, seconds);
        report.add(PAIR, each.name, 'p50 ms', 'less', p50);
        report.add(PAIR, each.name, 'p99 ms', 'less', p99);
        report.add(PAIR, each.name, 'p99.9 ms', 'less', p999);
      }
      await Promise.all([sidecar.stop(), gateway.stop()]);
    }
  }
}
