/** Header fields that the codec or the connection manager looks at, found once while a head is parsed. */

/** Bits of `seen`: fields that the message has. */
export const SEEN = {
  host: 1,
  contentLength: 1 << 1,
  transferEncoding: 1 << 2,
  connection: 1 << 3,
  upgrade: 1 << 4,
  expect: 1 << 5,
  /** `keep-alive`, `proxy-connection` or `proxy-authorization`: for this hop, and no other has business with them. */
  hopByHop: 1 << 6,
  te: 1 << 7,
  forwardedFor: 1 << 8,
  forwardedProto: 1 << 9,
  forwardedClientCert: 1 << 10,
  requestId: 1 << 11,
  /** Any `x-envoy-*`. */
  envoy: 1 << 12,
  /** `content-type: application/grpc…`; HTTP/2 and HTTP/1 alike. */
  contentType: 1 << 13,
  date: 1 << 14,
  server: 1 << 15,
  grpcTimeout: 1 << 16,
  underscore: 1 << 17,
  via: 1 << 18,
} as const;

/** Fields that stand once in a message, as Envoy keeps them: what is repeated is one value, with commas, for everyone who reads it. */
export const SEEN_ONCE =
  SEEN.forwardedFor | SEEN.forwardedProto | SEEN.forwardedClientCert | SEEN.requestId | SEEN.contentType | SEEN.grpcTimeout | SEEN.via;

/** Adds `value` to the field `name` that `flat` has already. */
export function joinValue(flat: string[], name: string, value: string): void {
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) flat[i + 1] += `,${value}`;
}

export interface KnownField {
  readonly name: string;
  readonly bit: number;
}

const NAMES: readonly (readonly [name: string, bit: number])[] = [
  ['host', SEEN.host],
  ['content-length', SEEN.contentLength],
  ['transfer-encoding', SEEN.transferEncoding],
  ['connection', SEEN.connection],
  ['upgrade', SEEN.upgrade],
  ['expect', SEEN.expect],
  ['keep-alive', SEEN.hopByHop],
  ['proxy-connection', SEEN.hopByHop],
  ['proxy-authorization', SEEN.hopByHop],
  ['te', SEEN.te],
  ['x-forwarded-for', SEEN.forwardedFor],
  ['x-forwarded-proto', SEEN.forwardedProto],
  ['x-forwarded-client-cert', SEEN.forwardedClientCert],
  ['x-request-id', SEEN.requestId],
  ['content-type', SEEN.contentType],
  ['date', SEEN.date],
  ['server', SEEN.server],
  ['grpc-timeout', SEEN.grpcTimeout],
  ['via', SEEN.via],
  ['x-envoy-attempt-count', SEEN.envoy],
  ['x-envoy-decorator-operation', SEEN.envoy],
  ['x-envoy-upstream-service-time', SEEN.envoy],
  ['x-envoy-expected-rq-timeout-ms', SEEN.envoy],
  ['x-envoy-external-address', SEEN.envoy],
  ['x-envoy-internal', SEEN.envoy],
  ...[
    'user-agent accept accept-encoding accept-language authorization cache-control content-encoding content-language content-range cookie etag',
    'expires if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location origin pragma range referer set-cookie',
    'trailer vary www-authenticate x-forwarded-host x-forwarded-port x-b3-traceid x-b3-spanid x-b3-sampled traceparent tracestate',
    'access-control-allow-origin strict-transport-security x-content-type-options x-frame-options alt-svc age accept-ranges',
  ]
    .join(' ')
    .split(' ')
    .map((name): readonly [string, number] => [name, 0]),
];

/** Keyed by the spellings that clients use, so that the usual name costs one lookup and is one string everywhere. */
const KNOWN = new Map<string, KnownField>();
for (const [name, bit] of NAMES) {
  const field = { name, bit };
  KNOWN.set(name, field);
  KNOWN.set(
    name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
    field,
  );
}

/** The field that `raw` (any case) names, where it is a known one in a usual spelling. */
export function knownField(raw: string): KnownField | undefined {
  return KNOWN.get(raw);
}

/** Any other name: in lower case, with the bits that its form tells. */
export function otherField(raw: string): KnownField {
  const name = raw.toLowerCase();
  const known = KNOWN.get(name);
  if (known) return known;
  let bit = name.startsWith('x-envoy-') ? SEEN.envoy : 0;
  if (name.includes('_')) bit |= SEEN.underscore;
  return { name, bit };
}

const CHANGED_BY_PROXIES = new Set([
  'content-length',
  'content-type',
  'date',
  'expect',
  'grpc-timeout',
  'server',
  'te',
  'via',
  'x-request-id',
]);

/** Whether a proxy on the way may set, join, rewrite or remove the field (lower case) by itself: what one proxy sees of it need not be what the next one sees. */
export function mayChangeOnTheWay(name: string): boolean {
  const bit = knownField(name)?.bit ?? 0;
  return (
    CHANGED_BY_PROXIES.has(name) ||
    name.startsWith('x-envoy-') ||
    name.startsWith('x-forwarded-') ||
    (bit & (SEEN.connection | SEEN.hopByHop | SEEN.upgrade | SEEN.transferEncoding)) !== 0
  );
}
