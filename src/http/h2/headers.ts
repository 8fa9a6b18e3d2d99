/** Which fields of a message go on over HTTP/2. */
import { HeaderMap } from '../header-map.ts';

/** Names that mean something to HTTP/1 connections only (RFC 9113 §8.2.2), or to the proxy alone; `host` is `:authority`. */
const NOT_SENT = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host',
]);

/** Whether a field (lower case) goes out at all. */
export function isSent(name: string): boolean {
  return !NOT_SENT.has(name);
}

/** The fields that go out. */
export function sentHeaders({ flat }: HeaderMap): HeaderMap {
  const sent = new HeaderMap();
  for (let i = 0; i < flat.length; i += 2) if (isSent(flat[i]!)) sent.append(flat[i]!, flat[i + 1]!);
  return sent;
}
