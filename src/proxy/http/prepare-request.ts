/** What happens to every request before routes see it: checks, path, client address, request id, headers that clients may not set. */
import { stripHost } from '../../http/authority.ts';
import { HeaderMap } from '../../http/header-map.ts';
import { normalizePath } from '../../http/path-normalization.ts';

import { forwardClientCert } from './client-cert.ts';
import { copyDownstream } from './copy-downstream.ts';
import type { Exchange } from './exchange.ts';
import { identifyClient, sanitizeEnvoyHeaders } from './forwarded.ts';
import { SEEN } from './h1/fields.ts';
import type { LocalReply } from './local-reply.ts';
import type { ManagerOptions } from './options.ts';
import { requestId } from './request-id.ts';

/** Works on the exchange; returns the refusal if the request goes no further. */
export function prepareRequest(exchange: Exchange): LocalReply | undefined {
  const { core, headers, seen, connection } = exchange;
  const { options } = core;
  const { downstream } = connection;
  const refusal = exchange.path === '' ? pathless(exchange) : preparePath(exchange, options);
  if (refusal) return refusal;
  // RFC 10008 lets no QUERY without a type of its body be understood.
  if (exchange.method === 'QUERY' && !headers.has('content-type')) return { status: 400, body: '', details: 'query_missing_content_type' };
  if (options.stripPort !== 'none' || options.stripTrailingHostDot)
    exchange.authority = stripHost(exchange.authority, downstream.localAddress.port, options);

  const client = identifyClient(headers, seen, downstream, options);
  exchange.internal = client.internal;
  exchange.edge = client.edge;
  // Logs and policies see the client that x-forwarded-for names.
  if (client.trusted) exchange.record.downstream = copyDownstream(downstream, undefined, client.trusted, undefined);
  if ((seen & SEEN.envoy) !== 0) {
    const external = client.edge ? headers.get('x-envoy-external-address') : undefined;
    sanitizeEnvoyHeaders(headers, client);
    if (external !== undefined) headers.set('x-envoy-external-address', external);
  }
  if (client.internal) headers.set('x-envoy-internal', 'true');
  if ((seen & SEEN.forwardedProto) === 0) {
    // At the edge it has just been set.
    if (!options.useRemoteAddress) headers.append('x-forwarded-proto', connection.scheme);
  } else {
    const scheme = headers.get('x-forwarded-proto');
    // HTTP/2 tells its own.
    if ((scheme === 'http' || scheme === 'https') && exchange.record.protocol !== 'HTTP/2') exchange.scheme = scheme;
  }
  if (options.generateRequestId) {
    if ((seen & SEEN.requestId) === 0) headers.append('x-request-id', requestId(core.deps.random));
    else if (client.edge && !options.preserveExternalRequestId) headers.set('x-request-id', requestId(core.deps.random));
  }
  if ((seen & SEEN.forwardedClientCert) !== 0 || downstream.tls?.peer) forwardClientCert(headers, downstream, options);
  if (options.via !== '') {
    const via = headers.get('via');
    headers.set('via', via === undefined ? options.via : `${via}, ${options.via}`);
  }
  return undefined;
}

/** CONNECT names an authority alone. */
function pathless({ method }: Exchange): LocalReply | undefined {
  return method === 'CONNECT' ? undefined : { status: 404, body: '', details: 'missing_path_rejected' };
}

function preparePath(exchange: Exchange, options: ManagerOptions): LocalReply | undefined {
  const { path } = exchange;
  if (path.charCodeAt(0) !== 47) return { status: 404, body: '', details: 'absolute_path_rejected' };
  const result = normalizePath(path, options.path);
  if (typeof result === 'string') {
    exchange.path = result;
    return undefined;
  }
  if (result.kind === 'rejected') return { status: 400, body: '', details: 'path_normalization_failed' };
  exchange.path = result.path;
  return { status: 307, body: '', details: 'path_normalization_failed', headers: new HeaderMap(['location', result.path]) };
}
