/** What a simulated call makes one expect of the running mesh, and in what the two differ. */
import { HeaderMap } from '../../src/http/header-map.ts';
import { isGrpc } from '../../src/http/local-reply.ts';
import { tlsLayers } from '../../src/prove/ending.ts';
import type { Call } from '../../src/simulate/call.ts';
import type { Hop, Trace } from '../../src/simulate/trace.ts';
import { varyingFields } from '../../src/simulate/varying.ts';
import { OUTSIDE, PODS, type Pod, resolveName } from '../calls/loopback/topology.ts';
import type { Reply } from './client.ts';
import { certificateFor, PLAYED_RESPONSE, SERVER_HEADERS, SERVER_PORTS, type Seen } from './outside.ts';
import { compared } from './proxy-headers.ts';
import type { LogLine, RunningMesh } from './running-mesh.ts';

/** A call that was made: what the application saw, and the lines of the proxies on its way, where they are logged. */
export interface Observed {
  readonly reply: Reply;
  /** As many as were expected; undefined where no line came, or none was waited for. */
  readonly lines: readonly (LogLine | undefined)[];
}

interface ExpectedHop {
  readonly pod: string;
  readonly cluster: string;
  /** Sets of flags that are right, each sorted and joined by commas. */
  readonly flags: readonly string[];
  /** Status in the log; undefined for TCP. */
  readonly code: number | undefined;
  /** How its line is found; `none`: it has none, or one that can't be told from others'. */
  readonly by: 'port' | 'call' | 'none';
}

interface Expected {
  readonly kind: Reply['kind'];
  readonly status: number;
  readonly location: string | undefined;
  /** Undefined where a proxy answers; `servers` may each have answered. */
  readonly seen: (Omit<Seen, 'server'> & { readonly servers: readonly string[]; readonly varying: ReadonlySet<string> }) | undefined;
  /** Of the response, by name, repeats joined; undefined where a proxy answers for another one that failed. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly hops: readonly ExpectedHop[];
}

/** How a hop's connection to the next one fares. */
type Result =
  | { readonly kind: 'reply'; readonly status: number; readonly location?: string | undefined; readonly seen?: Expected['seen'] }
  | { readonly kind: 'closed' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unresolved' };

export function expectationOf(call: Call, trace: Trace, names: ReadonlySet<string>): Expected | undefined {
  const { outcome, hops } = trace;
  if (outcome.kind === 'undecided') return undefined;
  let result: Result =
    outcome.kind === 'reply'
      ? { kind: 'reply', status: outcome.status, location: outcome.location }
      : outcome.kind === 'closed'
        ? { kind: hops.length > 0 && /refused$/.test(outcome.details) ? 'refused' : 'closed' }
        : arrive(call, trace, names);
  const expected: ExpectedHop[] = [];
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hops[i]!;
    const failure = hop.next === undefined ? undefined : FAILURES[result.kind];
    const own = hop.flag.split(',').sort().join();
    // A gateway's 503 is to gRPC a status that is retried.
    const retried = hop.next !== undefined && outcome.kind === 'reply' && isGrpcCall(call) ? ['URX'] : [];
    const flags = failure ? failure.map((flag) => flag) : [own, ...retried];
    if (failure && hop.protocol === 'http') result = { kind: 'reply', status: failedStatus(call) };
    else if (failure) result = { kind: 'closed' };
    expected.unshift({
      pod: hop.proxy,
      cluster: hop.cluster,
      flags,
      code: hop.protocol === 'http' && result.kind === 'reply' ? result.status : undefined,
      by: lineOf(hops, i),
    });
  }
  // An answer in plain to whoever waits for a TLS greeting is none.
  const unheard = outcome.kind === 'reply' && tlsLayers(call.payload, hops).wrapper !== undefined;
  const reply = result.kind === 'reply' && !unheard ? result : undefined;
  return {
    kind: reply ? 'answered' : 'closed',
    status: reply?.status ?? 0,
    location: reply?.location,
    seen: reply?.seen,
    headers: reply && (outcome.kind === 'reply' || reply.seen) ? headersOf(trace.response, reply.seen !== undefined) : undefined,
    hops: expected,
  };
}

/** Of a proxy's answer for an upstream that failed: gRPC is told in a header. */
function failedStatus(call: Call): number {
  return isGrpcCall(call) ? 200 : 503;
}

function isGrpcCall({ payload }: Call): boolean {
  const types = payload.http?.headers.all('content-type') ?? [];
  return isGrpc(new HeaderMap(['content-type', types.join()]));
}

/** What depends on how many of several servers had to be tried. */
const COUNTED = ['x-envoy-attempt-count', 'x-envoy-expected-rq-timeout-ms'];

/** Fields of the request at the server that are made by chance. */
function varyingOf({ hops, outcome }: Trace): Set<string> {
  const http = outcome.kind === 'upstream' ? outcome.payload.http : undefined;
  const names = new Set(http?.varied ? varyingFields(http.headers, http.varied) : []);
  const several = hops.some(({ steps }) => steps.some(({ kind, text }) => kind === 'endpoint' && text.startsWith('one of')));
  if (several) for (const name of COUNTED) names.add(name);
  return names;
}

/** The headers of a response that configurations play with, as the application sees them. */
function headersOf(response: Trace['response'], served: boolean): Record<string, string> | undefined {
  if (!response) return undefined;
  const gone = new Set([...response.removed, ...response.headers.filter(({ how }) => how === 'set').map(({ name }) => name)]);
  const out: Record<string, string> = {};
  if (served) for (const [name, value] of Object.entries(SERVER_HEADERS)) if (!gone.has(name)) out[name] = value;
  for (const { name, value } of response.headers) {
    if (PLAYED_RESPONSE.test(name)) out[name] = out[name] === undefined ? value : `${out[name]}, ${value}`;
  }
  return out;
}

function sorted(headers: Readonly<Record<string, string>>): (readonly [string, string])[] {
  return Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Flags of a hop whose upstream did not answer; with those of retries and without. UR: of a proxy that closes what it has not read, which the kernel tells by a reset. */
const FAILURES: Readonly<Record<Result['kind'], readonly string[] | undefined>> = {
  reply: undefined,
  closed: ['', 'UC', 'UR', 'UF', 'UF,URX'],
  refused: ['UF', 'UF,URX'],
  unresolved: ['UH', 'DF'],
};

function lineOf(hops: readonly Hop[], i: number): ExpectedHop['by'] {
  const { protocol, flag, proxy } = hops[i]!;
  if (protocol === undefined && flag !== 'NR') return 'none';
  if (i === 0 || hops[i - 1]!.protocol === 'tcp') return 'port';
  // Of a proxy that a call comes to twice, a line does not say which of the times it tells of.
  if (hops.filter((hop) => hop.proxy === proxy).length > 1) return 'none';
  // Connections of an HTTP proxy carry several calls, and what is not HTTP has no header that tells which.
  return protocol === 'http' && flag !== 'DPE' ? 'call' : 'none';
}

/** Whether a server is there that answers a call which gets out of the mesh. */
export function isServed(call: Call, trace: Trace, names: ReadonlySet<string>): boolean {
  return trace.outcome.kind !== 'upstream' || arrive(call, trace, names).kind === 'reply';
}

/** What the servers outside and the applications make of a call that gets there. */
function arrive(call: Call, trace: Trace, names: ReadonlySet<string>): Result {
  const { hops, outcome } = trace;
  if (outcome.kind !== 'upstream') throw new Error('not called for it');
  const { endpoint, host, payload, originates } = outcome;
  const last = hops.at(-1);
  const ips = endpoint ? [endpoint.ip] : resolveName(host);
  if (ips.length === 0) return { kind: 'unresolved' };
  const port = endpoint?.port ?? last?.next?.port ?? 0;
  const servers = ips.flatMap((ip) => serverAt(ip, port, last) ?? []);
  if (servers.length === 0) return { kind: 'refused' };
  const sni = payload.tls?.serverName ?? '';
  if (originates?.verifies === 'name' && certificateFor(sni, (name) => (names.has(name) ? name : undefined)) === undefined)
    return { kind: 'refused' };
  // No server that plays a part here has an identity of the mesh.
  if (originates?.verifies === 'mesh') return { kind: 'refused' };
  const tls = payload.tls && { sni };
  const { http } = payload;
  const seen: Expected['seen'] = {
    servers,
    tls,
    http: http && { method: http.method, path: http.path, authority: http.authority, headers: [...http.headers] },
    varying: varyingOf(trace),
  };
  const { wrapper, outermost } = tlsLayers(call.payload, hops);
  if (wrapper && outermost) return { kind: 'closed' };
  return { kind: 'reply', status: http ? 200 : 0, seen };
}

function serverAt(ip: string, port: number, last: Hop | undefined): string | undefined {
  const pod = PODS.find((one) => one.ip === ip || (ip === '127.0.0.1' && last?.proxy === `${one.namespace}/${one.name}`));
  if (pod) return pod.appPorts.includes(port) ? `${pod.name}:${port}` : undefined;
  const known = OUTSIDE.some((server) => server.ip === ip) && (SERVER_PORTS as readonly number[]).includes(port);
  return known ? `${ip}:${port}` : undefined;
}

/** Makes the call and gathers what was logged of it: of the ways that it may take, the one that the lines show. */
export async function observe(mesh: RunningMesh, pod: Pod, call: Call, expectations: readonly Expected[]): Promise<Observed> {
  const made = await mesh.call(pod, call);
  const lines: (LogLine | undefined)[] = [];
  let possible = expectations;
  let remote = `${pod.ip}:${made.port}`;
  for (let i = 0; ; i++) {
    const hops = possible.flatMap((one) => one.hops[i] ?? []);
    const first = hops[0];
    if (!first) return { reply: made.reply, lines };
    const pods = new Set(hops.map((hop) => hop.pod));
    const isOf = (line: LogLine) => pods.has(line.pod) && (first.by === 'port' ? line.remote === remote : line.call === made.id);
    const line = first.by === 'none' ? undefined : await mesh.line(isOf);
    lines.push(line);
    remote = line?.local ?? '';
    if (!line) continue;
    const shown = possible.filter(({ hops }) => hops[i]?.pod === line.pod && hops[i]!.cluster === (line.cluster ?? ''));
    if (shown.length > 0) possible = shown;
  }
}

/** What differs, as lines; none if they agree. */
export function differences(expected: Expected, { reply, lines }: Observed): string[] {
  const out: string[] = [];
  const compare = (what: string, wanted: unknown, got: unknown) => {
    if (JSON.stringify(wanted) !== JSON.stringify(got))
      out.push(`${what}: simulated ${JSON.stringify(wanted)}, in fact ${JSON.stringify(got)}`);
  };
  compare('reply', expected.kind, reply.kind);
  compare('status', expected.status, reply.status);
  compare('location', expected.location, reply.location);
  if (expected.headers && reply.kind === 'answered') compare('response headers', sorted(expected.headers), sorted(reply.headers));
  const { seen } = expected;
  const http = reply.seen?.http;
  if (!seen || !reply.seen) compare('answered by', seen?.servers, reply.seen && [reply.seen.server]);
  else {
    if (!seen.servers.includes(reply.seen.server)) compare('server', seen.servers, reply.seen.server);
    compare('TLS at the server', seen.tls, reply.seen.tls);
    const fields = (request: typeof http) => request && { ...request, headers: compared(request.headers, seen.varying) };
    compare('request at the server', fields(seen.http), fields(http));
  }
  for (const [i, hop] of expected.hops.entries()) {
    if (hop.by === 'none') continue;
    const line = lines[i];
    const where = `${hop.pod}'s log`;
    if (!line) {
      out.push(`${where}: no line`);
      continue;
    }
    compare(`${where}, proxy`, hop.pod, line.pod);
    compare(`${where}, cluster`, hop.cluster, line.cluster ?? '');
    // That a request was delayed is stated, not simulated.
    const shown = line.flags === '-' || line.flags === null ? [] : line.flags.split(',');
    const flags = shown
      .filter((flag) => flag !== 'DI')
      .sort()
      .join();
    if (!hop.flags.includes(flags)) compare(`${where}, flags`, hop.flags, flags);
    if (hop.code !== undefined) compare(`${where}, status`, hop.code, line.code);
  }
  return out;
}
