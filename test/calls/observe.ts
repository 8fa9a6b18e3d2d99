/** Puts what a call did (the client's result, the proxies' access logs, what the echo servers saw) into the form of the record. */
import type { Call, Json, Observation } from './cases.ts';
import type { CallResult } from './client.ts';
import type { Hit } from './echo.ts';
import { type Pod, SOURCES } from './loopback/topology.ts';

/** One line of a proxy's access log. */
export interface LogLine {
  readonly pod: Pod;
  readonly fields: Readonly<Record<string, Json>>;
}

const DROP_REQUEST = new Set([
  ...['x-request-id', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'traceparent', 'tracestate'],
  ...['x-envoy-peer-metadata', 'x-envoy-peer-metadata-id', 'user-agent', 'sec-websocket-key', 'host'],
]);
const DROP_RESPONSE = new Set([
  ...['date', 'content-length', 'x-envoy-upstream-service-time', 'x-request-id', 'x-lab-server', 'connection', 'transfer-encoding'],
]);

/** Without what is undefined, null, empty or `-`. */
function present(map: Record<string, Json | undefined>): { [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(map).filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== '-'),
  ) as {
    [key: string]: Json;
  };
}

function headersOf(pairs: readonly (readonly [string, string])[], drop: ReadonlySet<string>): { [key: string]: string } {
  const out = new Map<string, string>();
  for (const [name, text] of pairs) {
    const key = name.toLowerCase();
    if (drop.has(key)) continue;
    const value = key === 'x-forwarded-client-cert' ? identityOnly(text) : text;
    out.set(key, out.has(key) ? `${out.get(key)}, ${value}` : value);
  }
  return Object.fromEntries([...out].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function identityOnly(value: string): string {
  const keep = (element: string) => element.split(';').filter((part) => part.startsWith('By=') || part.startsWith('URI='));
  return value
    .split(',')
    .map((element) => keep(element).join(';'))
    .join(',');
}

export function hopOf({ pod, fields }: LogLine): { [key: string]: Json } {
  const inbound = String(fields.cluster ?? '').startsWith('inbound|');
  const direction = inbound ? 'inbound' : pod.kind === 'router' ? 'gateway' : pod.appPorts.length > 0 ? 'inbound' : 'outbound';
  const { cluster, code, flags, details, protocol, authority, route, sni, peer, upstream, attempts, tls_error } = fields;
  const several = typeof attempts === 'number' && attempts > 1 ? attempts : undefined;
  return present({
    proxy: `${pod.name}(${direction})`,
    cluster,
    code,
    flags,
    details,
    protocol,
    authority,
    route,
    sni,
    peer,
    upstream,
    attempts: several,
    tls_error,
  });
}

function hitOf(hit: Hit): { [key: string]: Json } {
  const { server, port, kind, protocol, method, authority, path, first } = hit;
  const headers = headersOf(hit.headers ?? [], DROP_REQUEST);
  const map: Record<string, Json | undefined> = {
    server,
    port,
    kind,
    protocol,
    method,
    authority,
    path,
    source: SOURCES.get(hit.source) ?? hit.source,
    first,
    tls: hit.tls === undefined ? undefined : present(hit.tls),
    body: hit.body || undefined,
    headers: Object.keys(headers).length > 0 ? headers : undefined,
  };
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as { [key: string]: Json };
}

const count = (keys: readonly string[]) => {
  const counts: Record<string, number> = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
};

/** A client's sidecar, a gateway, a server's sidecar: each call goes that way, while the clocks of processes may be some milliseconds apart. */
function rank({ pod }: LogLine): number {
  if (pod.kind === 'router') return 1;
  return pod.appPorts.length > 0 ? 2 : 0;
}

export function observation(call: Call, results: readonly CallResult[], lines: readonly LogLine[], hits: readonly Hit[]): Observation {
  const hops = lines.toSorted((a, b) => rank(a) - rank(b) || Number(a.fields.t) - Number(b.fields.t)).map(hopOf);
  if ((call.repeat ?? 1) > 1) {
    const server = (result: CallResult) =>
      result.headers?.find(([name]) => name === 'x-lab-server')?.[1] ??
      (call.tcp === undefined ? '-' : (result.body ?? '').split(':')[0]!.trim());
    return {
      counts: count(results.map((result) => `${result.status ?? result.outcome} ${server(result)}`)),
      upstream_counts: count(hits.map((hit) => hit.server)),
      hop_counts: count(hops.map((hop) => [hop.proxy, hop.cluster ?? '-', hop.code ?? '-', hop.flags ?? '-'].join(' '))),
    };
  }
  const result = results[0]!;
  const answeredBy = result.headers?.find(([name]) => name === 'x-lab-server')?.[1];
  const responseHeaders = headersOf(result.headers ?? [], DROP_RESPONSE);
  return present({
    outcome: result.outcome,
    status: result.status,
    tls: result.tls === undefined ? undefined : present({ alpn: result.tls.alpn, server_san: [...result.tls.server_san] }),
    seconds: result.ms >= 400 ? Math.round(result.ms / 500) / 2 : undefined,
    response_headers: Object.keys(responseHeaders).length > 0 ? responseHeaders : undefined,
    body: result.body && answeredBy === undefined ? result.body.slice(0, 300) : undefined,
    answered_by: answeredBy,
    via: hops.map((hop) => hop.proxy!),
    hops,
    upstream: hits.map(hitOf),
  });
}

/** Replaces the names of servers that the case does not tell apart. */
export function withAliases(got: Observation, alias: Readonly<Record<string, string>>): Observation {
  let text = JSON.stringify(got);
  for (const [name, other] of Object.entries(alias))
    text = text.replace(new RegExp(`\\b${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\b`, 'g'), other);
  return JSON.parse(text) as Observation;
}
