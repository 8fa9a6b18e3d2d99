import type { HttpRoute, PortTrafficPolicy, ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { isTcp, isTls } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';

/** SP1010: settings of http rules that other fields, or their absence, keep from having an effect. */
export function ruleSettings(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    for (const [i, rule] of virtualService.spec.http.entries()) {
      for (const { path, text } of idleSettings(rule)) context.report('SP1010', virtualService, ['spec', 'http', i, ...path], text);
    }
  }
}

interface IdleSetting {
  readonly path: readonly PathStep[];
  readonly text: string;
}

function idleSettings({ fault, retries, timeout }: HttpRoute): IdleSetting[] {
  const found: IdleSetting[] = [];
  for (const kind of ['abort', 'delay'] as const) {
    if (!fault?.[kind] || fault[kind].percentage) continue;
    const text = `A fault without a percentage is made for no call. Write how many it is for, e.g. percentage: {value: 100}.`;
    found.push({ path: ['fault', kind], text });
  }
  if (timeout && retries?.perTryTimeout && retries.perTryTimeout >= timeout) {
    const text = `perTryTimeout has no effect: the timeout of the whole (timeout) is over by then, and no attempt that takes its time is followed by another. Write less than timeout.`;
    found.push({ path: ['retries', 'perTryTimeout'], text });
  }
  return found;
}

/** SP1010: what a DestinationRule says of requests, where all that sidecars see of its host is TLS that passes through, or bytes. */
export function requestSettings(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    if (originatesTls(rule)) continue;
    const ports = context.services
      .coveredBy(fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase())
      .flatMap((service) => service.ports.map(({ protocol }) => protocol));
    if (ports.length === 0 || !ports.every((protocol) => isTls(protocol) || isTcp(protocol))) continue;
    for (const path of requestFields(rule)) {
      context.report(
        'SP1010',
        rule,
        path,
        `${String(path.at(-1))} is for requests, and at ${rule.spec.host} proxies see none: its ports are for TLS or bytes, which pass as they are. Let applications call a port of plain HTTP and originate TLS here, or take the setting out${path.includes('consistentHash') ? ' (useSourceIp: true is for connections, too)' : path.includes('connectionPool') ? ' (connectionPool.tcp is for connections)' : ''}.`,
      );
    }
  }
}

function originatesTls({ spec }: ResourceOf<'DestinationRule'>): boolean {
  const policies = [spec.trafficPolicy, ...spec.subsets.map(({ trafficPolicy }) => trafficPolicy)];
  return policies.some((policy) => [policy, ...(policy?.portLevelSettings ?? [])].some((each) => each?.tls && each.tls.mode !== 'DISABLE'));
}

/** Where the rule says something of requests. */
function requestFields({ spec: { trafficPolicy, subsets } }: ResourceOf<'DestinationRule'>): (readonly PathStep[])[] {
  return [
    ...fieldsOf(trafficPolicy, ['spec', 'trafficPolicy']),
    ...(trafficPolicy?.portLevelSettings ?? []).flatMap((each, i) => fieldsOf(each, ['spec', 'trafficPolicy', 'portLevelSettings', i])),
    ...subsets.flatMap((subset, i) => fieldsOf(subset.trafficPolicy, ['spec', 'subsets', i, 'trafficPolicy'])),
  ];
}

/** Not what waits for a connection (http1MaxPendingRequests): of that Envoy counts bytes, too. */
const POOLED = [
  'idleTimeout',
  'http2MaxRequests',
  'maxRequestsPerConnection',
  'maxRetries',
  'maxConcurrentStreams',
  'http2KeepAlive',
] as const;

function fieldsOf(policy: PortTrafficPolicy | undefined, path: readonly PathStep[]): (readonly PathStep[])[] {
  const hash = policy?.loadBalancer?.consistentHash;
  const hashed = (['httpHeaderName', 'httpCookie', 'httpQueryParameterName'] as const).filter((field) => hash?.[field]);
  return [
    ...hashed.map((field) => [...path, 'loadBalancer', 'consistentHash', field]),
    ...POOLED.filter((field) => policy?.connectionPool?.http?.[field] !== undefined).map((field) => [
      ...path,
      'connectionPool',
      'http',
      field,
    ]),
  ];
}
