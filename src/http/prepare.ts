/** What happens to every request before routes see it: checks, path, client address, request id, headers that clients may not set. */
import { stripHost } from './authority.ts';
import { forwardClientCert } from './client-cert.ts';
import type { ClientConnection } from './connection.ts';
import { SEEN } from './fields.ts';
import { identifyClient, sanitizeEnvoyHeaders } from './forwarded.ts';
import type { Head } from './head.ts';
import { HeaderMap } from './header-map.ts';
import type { LocalReply } from './local-reply.ts';
import type { ManagerOptions } from './options.ts';
import { normalizePath } from './path-normalization.ts';
import { requestId } from './request-id.ts';
import { traceOf } from './tracing/context.ts';

/** Works on the head; returns the refusal if the request goes no further. `random`: integers, 0 ≤ n < 2^53. */
export function prepareRequest(
  head: Head,
  connection: ClientConnection,
  options: ManagerOptions,
  random: () => number,
): LocalReply | undefined {
  const { headers, seen } = head;
  const refusal = head.path === '' ? pathless(head) : preparePath(head, options);
  if (refusal) return refusal;
  // RFC 10008 lets no QUERY without a type of its body be understood.
  if (head.method === 'QUERY' && !headers.has('content-type')) return { status: 400, body: '', details: 'query_missing_content_type' };
  if (options.stripPort !== 'none' || options.stripTrailingHostDot)
    head.authority = stripHost(head.authority, connection.localAddress.port, options);

  const client = identifyClient(headers, seen, connection, options);
  head.internal = client.internal;
  head.edge = client.edge;
  head.client = client.trusted;
  if ((seen & SEEN.envoy) !== 0) {
    const external = client.edge ? headers.get('x-envoy-external-address') : undefined;
    sanitizeEnvoyHeaders(headers, client);
    if (external !== undefined) headers.set('x-envoy-external-address', external);
  }
  if (client.internal) headers.set('x-envoy-internal', 'true');
  if ((seen & SEEN.forwardedProto) === 0) {
    // At the edge it has just been set.
    if (!options.useRemoteAddress) headers.append('x-forwarded-proto', connection.tls ? 'https' : 'http');
  } else {
    const scheme = headers.get('x-forwarded-proto');
    // HTTP/2 tells its own.
    if ((scheme === 'http' || scheme === 'https') && head.protocol !== 'HTTP/2') head.scheme = scheme;
  }
  if (options.generateRequestId) {
    if ((seen & SEEN.requestId) === 0) headers.append('x-request-id', requestId(random));
    else if (client.edge && !options.preserveExternalRequestId) headers.set('x-request-id', requestId(random));
  }
  if ((seen & SEEN.forwardedClientCert) !== 0 || connection.tls?.peer) forwardClientCert(headers, connection, options);
  if (options.via !== '') appendVia(headers, options.via);
  if (options.tracing) head.trace = traceOf(headers, options.tracing.sampling, random);
  return undefined;
}

/** Adds this proxy to the list of those that the message passed. */
export function appendVia(headers: HeaderMap, name: string): void {
  const via = headers.get('via');
  headers.set('via', via === undefined ? name : `${via}, ${name}`);
}

/** CONNECT names an authority alone. */
function pathless({ method }: Head): LocalReply | undefined {
  return method === 'CONNECT' ? undefined : { status: 404, body: '', details: 'missing_path_rejected' };
}

function preparePath(head: Head, options: ManagerOptions): LocalReply | undefined {
  const { path } = head;
  if (path.charCodeAt(0) !== 47) return { status: 404, body: '', details: 'absolute_path_rejected' };
  const result = normalizePath(path, options.path);
  if (typeof result === 'string') {
    head.path = result;
    return undefined;
  }
  if (result.kind === 'rejected') return { status: 400, body: '', details: 'path_normalization_failed' };
  head.path = result.path;
  return { status: 307, body: '', details: 'path_normalization_failed', headers: new HeaderMap(['location', result.path]) };
}
