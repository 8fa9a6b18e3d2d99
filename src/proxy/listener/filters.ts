/** Listener filters: compiled from a Listener, run in the order in which they stand. */
import type { ListenerFilter as FilterConfig } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { ProxyProtocolSchema } from '../../xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { compilePortPredicate } from '../../xds/match/port-predicate.ts';
import { EXPLICIT_PROXY_FILTER } from '../../xds/names.ts';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';
import { createAsking } from './asking.ts';
import { readClientHello } from './client-hello.ts';
import { createExplicitProxy, type ExplicitProxyDeps } from './explicit-proxy.ts';
import { detectHttp } from './http-detect.ts';
import type { Inspection, ListenerFilter, Verdict } from './inspection.ts';
import { loadOriginalDst } from './original-dst.ts';
import { readProxyHeader } from './proxy-protocol.ts';

/** Throws `xds-unsupported` for a filter that is not known, and what a filter's own needs throw. */
export function compileListenerFilters(listener: Listener, deps: ExplicitProxyDeps): ListenerFilter[] {
  const where = `listener "${listener.name}".listener_filters`;
  const filters = listener.listenerFilters.map((config, index) => compile(config, `${where}[${index}] "${config.name}"`, deps));
  // As in Envoy, `use_original_dst` brings the filter along.
  const restores = filters.some(({ name }) => name === 'original_dst' || name === 'explicit_proxy');
  const asking = listener.useOriginalDst ? createAsking(deps) : undefined;
  if (!listener.useOriginalDst || restores) return asking ? withAsking(filters, asking) : filters;
  const restoring: ListenerFilter = { name: 'original_dst', mandatory: false, disabled: () => false, inspect: originalDst() };
  return [restoring, ...(asking ? [asking] : []), ...filters];
}

/** Right after the destination is known; the explicit proxy asks by itself. */
function withAsking(filters: readonly ListenerFilter[], asking: ListenerFilter): ListenerFilter[] {
  return filters.flatMap((filter) => (filter.name === 'original_dst' ? [filter, asking] : [filter]));
}

const ORIGINAL_DST = 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst';
const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const HTTP_INSPECTOR = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector';
const PROXY_PROTOCOL = 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol';

function compile(config: FilterConfig, where: string, deps: ExplicitProxyDeps): ListenerFilter {
  if (config.configType.case === 'configDiscovery') unsupported(`${where}.config_discovery`, 'not supported; give typed_config');
  const any = config.configType.value;
  const isDisabledAt = compilePortPredicate(config.filterDisabled, where);
  const disabled = ({ localAddress }: Inspection) => isDisabledAt(localAddress.port);
  if (config.name === EXPLICIT_PROXY_FILTER) return createExplicitProxy(deps, disabled);
  const filter = (name: string, inspect: (connection: Inspection) => Verdict, mandatory = false): ListenerFilter => ({
    name,
    mandatory,
    disabled,
    inspect,
  });
  switch (typeNameOf(any)) {
    case ORIGINAL_DST:
      return filter('original_dst', originalDst());
    case TLS_INSPECTOR:
      return filter('tls_inspector', inspectTls);
    case HTTP_INSPECTOR:
      return filter('http_inspector', inspectHttp);
    case PROXY_PROTOCOL: {
      const { allowRequestsWithoutProxyProtocol } = unpack(any, ProxyProtocolSchema, where);
      return filter('proxy_protocol', proxyProtocol(allowRequestsWithoutProxyProtocol), true);
    }
    default:
      return unsupported(where, `the listener filter ${typeNameOf(any) || 'without typed_config'} is not supported`);
  }
}

function originalDst(): (connection: Inspection) => Verdict {
  const lookup = loadOriginalDst();
  return (connection) => {
    const address = lookup(connection.socket);
    const own = connection.directLocalAddress;
    // A connection that was made to this port itself keeps its address, as nothing redirected it.
    if (address && (address.ip !== own.ip || address.port !== own.port)) connection.restore(address);
    return 'next';
  };
}

function inspectTls(connection: Inspection): Verdict {
  const { ahead } = connection;
  if (ahead.length === 0) return more(connection, 1);
  const result = readClientHello(ahead.data);
  switch (result.kind) {
    case 'need-more':
      return more(connection, result.bytes);
    case 'too-large':
      return 'close';
    case 'hello':
      connection.transportProtocol = 'tls';
      connection.serverName = result.serverName;
      connection.applicationProtocols = result.applicationProtocols;
      return 'next';
    default:
      return 'next';
  }
}

function more(connection: Inspection, bytes: number): 'more' {
  connection.wanted = bytes;
  return 'more';
}

function inspectHttp(connection: Inspection): Verdict {
  if (connection.transportProtocol === 'tls') return 'next';
  const { ahead } = connection;
  const found = ahead.length === 0 ? 'need-more' : detectHttp(ahead.data);
  if (found === 'need-more') return more(connection, ahead.length + 1);
  if (found !== 'not-http') connection.applicationProtocols = [found];
  return 'next';
}

function proxyProtocol(optional: boolean): (connection: Inspection) => Verdict {
  return (connection) => {
    const { ahead } = connection;
    if (ahead.length === 0) return more(connection, 1);
    const header = readProxyHeader(ahead.data);
    switch (header.kind) {
      case 'need-more':
        return more(connection, ahead.length + 1);
      case 'absent':
        return optional ? 'next' : 'close';
      case 'invalid':
        return 'close';
      case 'header':
        ahead.drop(header.length);
        if (header.addresses) {
          connection.remoteAddress = header.addresses.source;
          connection.restore(header.addresses.destination);
        }
        return 'next';
    }
  };
}
