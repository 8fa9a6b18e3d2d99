/** The admin endpoints by path. */
import { memoryUsage } from 'node:process';
import { create, type JsonValue } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { RE2JS } from 're2js';
import { messageOf } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import { type PrintOptions, printPrometheus, printText, type StatsSnapshot, statsJson } from '../proxy/stats/index.ts';
import { ServerInfo_State, ServerInfoSchema } from '../xds/gen/envoy/admin/v3/server_info_pb.js';
import type { AdminSource, LogLevel } from './model.ts';

export interface Answer {
  readonly status?: number;
  /** Whole, or in pieces that are written as the client takes them. */
  readonly text?: string | Iterable<string>;
  readonly json?: JsonValue;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once the answer was handed to the system. */
  readonly after?: () => void;
}

export interface Endpoint {
  readonly help: string;
  /** Takes POST only. */
  readonly mutates: boolean;
  handle(source: AdminSource, query: URLSearchParams): Answer | Promise<Answer>;
}

const OK: Answer = { text: 'OK\n' };
const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];

function reads(help: string, handle: Endpoint['handle']): Endpoint {
  return { help, mutates: false, handle };
}

function mutates(help: string, handle: Endpoint['handle']): Endpoint {
  return { help, mutates: true, handle };
}

export const ENDPOINTS: Readonly<Record<string, Endpoint | undefined>> = table({
  '/': reads('Admin home page', () => ({ text: homePage(), contentType: 'text/html; charset=UTF-8' })),
  '/certs': reads('print certs on machine', async ({ resources, now }) => ({
    json: (await import('./certs.ts')).certsJson(resources().resources, now()),
  })),
  '/clusters': reads('upstream cluster status (?format=json)', async ({ clusters }, query) => {
    const print = await import('./clusters.ts');
    const states = await clusters();
    return query.get('format') === 'json' ? { json: print.clustersJson(states) } : { text: print.clustersText(states) };
  }),
  '/config_dump': reads('dump current configs (?include_eds, ?resource=, ?mask=, ?name_regex=)', async (source, query) => {
    const { configDump, selectDump } = await import('./config-dump.ts');
    const resource = query.get('resource') ?? '';
    return selectDump(configDump(source, query.has('include_eds') || resource.endsWith('_endpoint_configs')), query);
  }),
  '/drain_listeners': mutates('drain listeners (?graceful, ?inboundonly)', async ({ drainListeners }, query) => {
    await drainListeners({ inboundOnly: query.has('inboundonly'), graceful: query.has('graceful') });
    return OK;
  }),
  '/flows': reads('calls as they begin and end, a line of JSON each (?verdict=, ?host=, ?process=, ?protocol=)', () => ({
    status: 404,
    text: 'this process does not show its calls\n',
  })),
  '/healthcheck/fail': mutates('cause the server to fail health checks', ({ setHealthy }) => {
    setHealthy(false);
    return OK;
  }),
  '/healthcheck/ok': mutates('cause the server to pass health checks', ({ setHealthy }) => {
    setHealthy(true);
    return OK;
  }),
  '/help': reads('print out list of admin commands', () => ({ text: helpText() })),
  '/listeners': reads('print listener info (?format=json)', async ({ listeners }, query) => {
    const print = await import('./clusters.ts');
    const states = await listeners();
    return query.get('format') === 'json' ? { json: print.listenersJson(states) } : { text: print.listenersText(states) };
  }),
  '/logging': mutates('query or change the log level (?level=LEVEL)', logging),
  '/memory': reads('print current allocation/heap usage', () => {
    const { rss, heapTotal, heapUsed, external } = memoryUsage();
    return {
      json: { allocated: String(heapUsed), heap_size: String(heapTotal), external: String(external), total_physical_bytes: String(rss) },
    };
  }),
  '/quitquitquit': mutates('exit the server', ({ quit }) => ({ ...OK, after: quit })),
  '/ready': reads('print server state, return 200 if LIVE, otherwise 503', ({ state }) => ({
    status: state() === 'LIVE' ? 200 : 503,
    text: `${state()}\n`,
  })),
  '/reset_counters': mutates('reset all counters to zero', async ({ resetCounters }) => {
    await resetCounters?.();
    return OK;
  }),
  '/runtime': reads('print runtime values', () => ({ json: { entries: {}, layers: [] } })),
  '/server_info': reads('print server version/status information', serverInfo),
  '/stats': reads('print server stats (?filter=REGEX, ?usedonly, ?type=, ?format=json|prometheus)', stats),
  '/stats/prometheus': reads('print server stats in prometheus format', (source, query) => stats(source, withFormat(query, 'prometheus'))),
});

export function helpText(): string {
  const lines = Object.entries(ENDPOINTS).map(([path, endpoint]) => `  ${path}${endpoint?.mutates ? ' (POST)' : ''}: ${endpoint?.help}\n`);
  return `admin commands are:\n${lines.join('')}`;
}

function homePage(): string {
  const rows = Object.entries(ENDPOINTS).map(([path, endpoint]) => {
    const target = path.slice(1);
    const link = endpoint?.mutates
      ? `<form action="${target}" method="post"><button>${target}</button></form>`
      : `<a href="${target || './'}">${target || 'home'}</a>`;
    return `<tr><td>${link}</td><td>${endpoint?.help.replace(/</g, '&lt;')}</td></tr>`;
  });
  return `<!DOCTYPE html><title>Sallyport admin</title><h1>Sallyport admin</h1><table>${rows.join('\n')}</table>\n`;
}

function withFormat(query: URLSearchParams, format: string): URLSearchParams {
  const copy = new URLSearchParams(query);
  copy.set('format', format);
  return copy;
}

async function stats(source: AdminSource, query: URLSearchParams): Promise<Answer> {
  let filter: PrintOptions['filter'];
  const pattern = query.get('filter');
  if (pattern) {
    try {
      const regex = RE2JS.compile(pattern);
      filter = (name) => regex.test(name);
    } catch (error) {
      return { status: 400, text: `Invalid re2 regex: ${messageOf(error)}\n` };
    }
  }
  const options: PrintOptions = { filter, usedOnly: query.has('usedonly') };
  const snapshot = ofType(withServer(source, await source.stats()), query.get('type') ?? 'All');
  if (!snapshot) return { status: 400, text: 'usage: /stats?type=All|Counters|Gauges|Histograms\n' };
  switch (query.get('format') ?? 'text') {
    case 'text':
      return { text: printText(snapshot, options) };
    case 'json':
      return { json: statsJson(snapshot, options) as JsonValue };
    case 'prometheus':
      return { text: printPrometheus(snapshot, options), contentType: 'text/plain; version=0.0.4; charset=UTF-8' };
    default:
      return { status: 400, text: 'usage: /stats?format=text|json|prometheus\n' };
  }
}

const STATES = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const;

/** What is the process's own, not a worker's: it must not be added up over workers. */
function withServer(source: AdminSource, snapshot: StatsSnapshot): StatsSnapshot {
  const { heapUsed, heapTotal } = memoryUsage();
  const { resources } = source.resources();
  const state = source.state();
  const own: Readonly<Record<string, number>> = {
    'cluster_manager.active_clusters': resources.clusters.length,
    'listener_manager.total_listeners_active': resources.listeners.length,
    'server.concurrency': source.concurrency,
    'server.live': state === 'LIVE' ? 1 : 0,
    'server.memory_allocated': heapUsed,
    'server.memory_heap_size': heapTotal,
    'server.state': STATES[state],
    'server.uptime': Math.floor((source.now() - source.startTime) / 1000),
  };
  return { ...snapshot, gauges: [...snapshot.gauges, ...Object.entries(own).map(([name, value]) => ({ name, value }))] };
}

function ofType(snapshot: StatsSnapshot, type: string): StatsSnapshot | undefined {
  const wanted = type.toLowerCase();
  if (!['all', 'counters', 'gauges', 'histograms'].includes(wanted)) return undefined;
  const take = <T>(kind: string, list: readonly T[]) => (wanted === 'all' || wanted === kind ? list : []);
  return {
    counters: take('counters', snapshot.counters),
    gauges: take('gauges', snapshot.gauges),
    histograms: take('histograms', snapshot.histograms),
  };
}

async function serverInfo({ version, state, now, startTime, node, concurrency, logLevel }: AdminSource): Promise<Answer> {
  const { toAdminJson } = await import('./json.ts');
  const uptime = durationFromMs(Math.max(0, Math.floor((now() - startTime) / 1000) * 1000));
  const info = create(ServerInfoSchema, {
    // As Envoy: revision, version, state of the sources, build, TLS library.
    version: `sallyport/${version}/Clean/RELEASE/OpenSSL`,
    state: ServerInfo_State[state()],
    uptimeCurrentEpoch: uptime,
    uptimeAllEpochs: uptime,
    hotRestartVersion: 'disabled',
    commandLineOptions: { concurrency, logLevel: logLevel(), serviceCluster: node?.cluster ?? '', serviceNode: node?.id ?? '' },
    node,
  });
  return { json: { state: state(), ...toAdminJson(ServerInfoSchema, info) } };
}

function logging({ logLevel, setLogLevel }: AdminSource, query: URLSearchParams): Answer {
  const asked = query.get('level') ?? query.get('paths');
  if (asked !== null) {
    const level = LEVELS.find((each) => each === (asked === 'warn' ? 'warning' : asked));
    if (!level) return { status: 400, text: `error: unknown logger level "${asked}"; levels are ${LEVELS.join(', ')}\n` };
    setLogLevel(level);
  }
  return { text: `active loggers:\n  sallyport: ${logLevel()}\n` };
}
