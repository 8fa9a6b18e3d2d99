/** Between Node's HTTP/2 header objects and header maps. */
import { joinValue, knownField, otherField, SEEN_ONCE } from '../fields.ts';
import { HeaderMap } from '../header-map.ts';

/** As `OutgoingHttpHeaders` of node:http2. */
export type NodeHeaders = Record<string, number | string | string[] | undefined>;

export interface ReceivedHeaders {
  readonly headers: HeaderMap;
  /** Bits of SEEN. */
  readonly seen: number;
}

/** Names that mean something to HTTP/1 connections only (RFC 9113 §8.2.2), or to the proxy alone; `host` is `:authority`. */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

/** What is repeated goes on repeated, as in Envoy; Node would refuse a second value of some fields. An option that Node's types lack. */
export const REPEATED_FIELDS: object = { strictSingleValueFields: false };

/** `raw` as Node gives it: name, value, name, value, …; pseudo-headers are left out. */
export function receivedHeaders(raw: readonly string[]): ReceivedHeaders {
  const flat: string[] = [];
  let seen = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    if (name.charCodeAt(0) === 58 || CONNECTION_FIELDS.has(name)) continue;
    const field = knownField(name) ?? otherField(name);
    // Cookie crumbs are one field again for everyone who reads them (RFC 9113 §8.2.3).
    const before = field.name === 'cookie' ? flat.lastIndexOf('cookie') : -1;
    if (before >= 0) flat[before + 1] += `; ${raw[i + 1]!}`;
    else if ((field.bit & seen & SEEN_ONCE) !== 0) joinValue(flat, field.name, raw[i + 1]!);
    else flat.push(field.name, raw[i + 1]!);
    seen |= field.bit;
  }
  return { headers: new HeaderMap(flat), seen };
}

/** Adds the fields of `headers` to a header object of Node's. */
export function toNodeHeaders(headers: HeaderMap, target: NodeHeaders): NodeHeaders {
  const { flat } = headers;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (CONNECTION_FIELDS.has(name)) continue;
    const value = flat[i + 1]!;
    const before = target[name];
    if (before === undefined) target[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else target[name] = [String(before), value];
  }
  return target;
}

/** Trailers as a map; undefined where there are none. */
export function trailersOf(raw: readonly string[] | undefined): HeaderMap | undefined {
  if (!raw || raw.length === 0) return undefined;
  return receivedHeaders(raw).headers;
}

export function statusOf(headers: Readonly<Record<string, unknown>>): number {
  return Number(headers[':status']);
}
