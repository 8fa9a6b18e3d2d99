/** What `tunneling_config` of a TCP proxy asks for. */
import { isAuthority, parseAuthority } from '../../http/authority.ts';
import type { FormatContext } from '../../http/format/operator.ts';
import type { FormatRecord } from '../../http/format/record.ts';
import { compileText } from '../../http/format/text.ts';
import { HeaderMap } from '../../http/header-map.ts';
import { isFieldValue, mayBeSet } from '../../http/outgoing-problem.ts';
import { compileMutations } from '../../http/routes/mutation.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { TcpProxy_TunnelingConfig } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { TunnelRequest } from './handshake.ts';

/** What one connection asks the proxy for; a text says why nothing can be asked. */
export type TunnelRequestOf = (record: FormatRecord) => TunnelRequest | string;

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the field. */
export function readTunnel(config: TcpProxy_TunnelingConfig, context: FormatContext, where: string): TunnelRequestOf {
  if (config.usePost) unsupported(`${where}.use_post`, 'a tunnel by POST is not supported; use CONNECT');
  if (config.postPath !== '') throw new SallyportError('xds-invalid', `${where}.post_path: needs use_post`);
  if (config.propagateResponseHeaders || config.propagateResponseTrailers)
    unsupported(where, 'propagate_response_headers and propagate_response_trailers are not supported');
  const authority = compileText(config.hostname, context, true);
  for (const { header } of config.headersToAdd) {
    const name = header?.key.toLowerCase() ?? '';
    if (name === 'host' || name.startsWith(':') || !mayBeSet(name))
      throw new SallyportError('xds-invalid', `${where}.headers_to_add: "${name}" may not be set`);
  }
  const fields = compileMutations(config.headersToAdd, [], context);
  return (record) => {
    const asked = authority(record);
    if (!isDestination(asked)) return `"${asked}" is no host and port to ask a proxy for`;
    const headers = new HeaderMap();
    fields?.apply(headers, record);
    for (const [name, value] of headers) if (!isFieldValue(value)) return `the value of ${name} has characters that no field may have`;
    return { authority: asked, headers };
  };
}

/** A name that comes from a client must not become anything but a name. */
function isDestination(text: string): boolean {
  const parsed = isAuthority(text) ? parseAuthority(text, undefined) : undefined;
  return parsed !== undefined && parsed.host !== '' && parsed.port > 0;
}
