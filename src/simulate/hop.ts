/** What one proxy does with a call: listener, filter chain, route, cluster. The data plane's own matchers decide. Pure. */

import { compileNetworkExtAuthz } from '../http/ext-authz/network.ts';
import { type DynamicMetadata, withMetadata } from '../http/rbac/subject.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { ExtAuthzSchema } from '../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema } from '../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { FilterConfigSchema as SniForwardProxySchema } from '../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { type CommonTlsContext, DownstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { listenerAddresses } from '../xds/match/listener.ts';
import { originsOf, refusalOf } from '../xds/match/metadata.ts';
import { compilePortPredicate } from '../xds/match/port-predicate.ts';
import { ROOT_SECRET } from '../xds/names.ts';
import { OBSERVING_FILTERS } from '../xds/observing.ts';
import { typeNameOf } from '../xds/unpack.ts';
import type { Call, HttpRequest } from './call.ts';
import type { Arrived, HopContext, HopOptions } from './hop-options.ts';
import { http } from './http.ts';
import { compiledRbac, notedBy, type Refused, refuse, refusedBy } from './policy.ts';
import type { SimulatedProxy } from './proxy.ts';
import { ASSUMED, type HopResult, Recorder } from './recorder.ts';
import { type TcpOverrides, tcpCluster, tcpProxy } from './tcp.ts';

/** The call arrives at `listener` (15001 of a sidecar for what leaves, 15006 for what comes in, the dialled port of a router). */
export function simulateHop(proxy: SimulatedProxy, entry: Listener, call: Call, given: HopOptions): HopResult {
  const recorder = new Recorder(proxy.name);
  // A workload's inbound side leads to the application beside it, whatever is asked of the call there.
  const leads = proxy.type === 'router' || entry.name !== 'virtualInbound';
  const options = leads ? given : { ...given, representative: false };
  const { destination } = call;
  const { listener, chain } = arrivalAt(proxy, entry, call);
  recorder.step('listener', listener.name, `takes connections to ${destination.ip}:${destination.port}`, originsOf(listener.metadata));
  const connection = connectionInfo(listener, call);
  if (waitsForClient(listener, call)) recorder.waitsOn = destination.port;
  const observe = ({ table, virtualHost, route }: Partial<Arrived>) =>
    options.observe?.({ proxy, listener, chain: chain?.config, call, table, virtualHost, route });
  observe({});
  if (!chain) {
    recorder.step('filter-chain', '', 'no filter chain matches: the connection is closed');
    return recorder.closed('NR', 'filter_chain_not_found');
  }
  recorder.anyAddress = takesAnyAddress(listener, chain.config);
  const origins = originsOf(chain.config.metadata);
  recorder.step('filter-chain', chain.name, chain.index < 0 ? 'no other filter chain matches' : describeMatch(chain.config), origins);
  const refusal = options.representative ? refusalOf(chain.config.metadata) : undefined;
  if (refusal !== undefined) return recorder.undecided(refusal);
  const terminated = terminate(proxy, chain.config, call, options, recorder);
  if (terminated !== undefined && 'hop' in terminated) return terminated;
  const inner = terminated ? { ...call, payload: call.payload.inner ?? { ...call.payload, tls: undefined } } : call;
  const serverName = terminated ? (call.payload.tls?.serverName ?? '') : connection.serverName;
  return runFilters({ proxy, listener, chain, call: inner, serverName, terminated, options, recorder, observe });
}

/** The listener and the filter chain that take a call which comes in at `entry`; `chain` is undefined where none does. */
export function arrivalAt(proxy: SimulatedProxy, entry: Listener, call: Call) {
  const { destination } = call;
  const listener = entry.useOriginalDst ? (proxy.listeners.match(destination.ip, destination.port) ?? entry) : entry;
  return { listener, chain: proxy.chains(listener).match(connectionInfo(listener, call)) };
}

function takesAnyAddress(listener: Listener, { filterChainMatch }: FilterChain): boolean {
  const bound = listenerAddresses(listener);
  return (filterChainMatch?.prefixRanges.length ?? 0) === 0 && bound.every(({ ip }) => ip === '0.0.0.0' || ip === '::');
}

const TLS_INSPECTOR = 'envoy.filters.listener.tls_inspector';
const HTTP_INSPECTOR = 'envoy.filters.listener.http_inspector';

function hasFilter({ name: listener, listenerFilters }: Listener, name: string, port: number): boolean {
  return listenerFilters.some(
    (filter) =>
      (filter.name === name || filter.name.endsWith(name.slice(name.lastIndexOf('.')))) &&
      !compilePortPredicate(filter.filterDisabled, `listener "${listener}": ${filter.name}`)(port),
  );
}

/**
 * Whether the listener looks at what the client says first, and bytes that say nothing have to come: for a client that waits for the server it waits for
 * ever, or until it gives the connection up.
 */
function waitsForClient(listener: Listener, { destination: { port }, payload }: Call): boolean {
  if (payload.tls || payload.http) return false;
  const { listenerFiltersTimeout: timeout, continueOnListenerFiltersTimeout: goesOn } = listener;
  const endless = timeout !== undefined && timeout.seconds === 0n && timeout.nanos === 0;
  if (!endless && goesOn) return false;
  return hasFilter(listener, TLS_INSPECTOR, port) || hasFilter(listener, HTTP_INSPECTOR, port);
}

function connectionInfo(listener: Listener, { source, destination, payload }: Call) {
  const tls = hasFilter(listener, TLS_INSPECTOR, destination.port) ? payload.tls : undefined;
  const http = !payload.tls && hasFilter(listener, HTTP_INSPECTOR, destination.port) ? payload.http : undefined;
  return {
    destinationIp: destination.ip,
    destinationPort: destination.port,
    sourceIp: source.ip,
    sourcePort: source.port,
    serverName: tls?.serverName ?? '',
    transportProtocol: tls ? 'tls' : 'raw_buffer',
    applicationProtocols: tls ? tls.alpn : http ? [APPLICATION_PROTOCOL[http.version]] : [],
  };
}

const APPLICATION_PROTOCOL: Readonly<Record<HttpRequest['version'], string>> = { '1.0': 'http/1.0', '1.1': 'http/1.1', '2': 'h2c' };

function describeMatch({ filterChainMatch: match }: FilterChain): string {
  const parts: string[] = [];
  if (match?.serverNames.length) parts.push(`SNI is one of ${match.serverNames.join(', ')}`);
  if (match?.prefixRanges.length)
    parts.push(`the destination is in ${match.prefixRanges.map((range) => `${range.addressPrefix}/${range.prefixLen ?? 0}`).join(', ')}`);
  if (match?.destinationPort !== undefined) parts.push(`the port is ${match.destinationPort}`);
  if (match?.transportProtocol) parts.push(match.transportProtocol === 'tls' ? 'it is TLS' : 'it is not TLS');
  if (match?.applicationProtocols.length) parts.push(`it speaks ${match.applicationProtocols.join(' or ')}`);
  return parts.length > 0 ? `matches because ${parts.join(' and ')}` : 'matches everything';
}

/** How the chain's TLS ended, or where the handshake did; undefined for a chain that ends none. */
function terminate(
  proxy: SimulatedProxy,
  chain: FilterChain,
  { payload }: Call,
  options: HopOptions,
  recorder: Recorder,
): HopContext['terminated'] | HopResult {
  const socket = chain.transportSocket;
  if (socket?.configType.case !== 'typedConfig' || typeNameOf(socket.configType.value) !== DownstreamTlsContextSchema.typeName)
    return undefined;
  if (!payload.tls) {
    recorder.step('tls', '', 'the listener expects TLS, and the call is plain: the connection is closed');
    return recorder.closed('', 'not TLS');
  }
  const context = proxy.unpack(socket.configType.value, DownstreamTlsContextSchema, `filter chain "${chain.name}": transport_socket`);
  const names = (context.commonTlsContext?.tlsCertificateSdsSecretConfigs ?? []).map((secret) => secret.name);
  const missing = names.find((name) => name.startsWith('kubernetes://') && !proxy.secret(name));
  if (missing !== undefined && options.representative) recorder.step('tls', missing, ASSUMED);
  else if (missing !== undefined) {
    recorder.step('tls', missing, 'the certificate is missing: the connection is closed');
    return recorder.closed('', `secret ${missing} is missing`);
  }
  recorder.step('tls', names.join(', '), `TLS for ${payload.tls.serverName || '(no SNI)'} ends here`);
  if (context.requireClientCertificate) {
    recorder.demandsCertificate = true;
    recorder.step('tls', '', 'a client certificate is required: without one that is trusted, the handshake fails');
    if (payload.tls.certificate === false) return recorder.closed('', 'no client certificate');
    if (verifiedByMesh(context.commonTlsContext) && payload.tls.identity === undefined) {
      recorder.step('tls', '', 'the client has no identity of the mesh: the connection is closed');
      return recorder.closed('', 'no identity of the mesh');
    }
  }
  const alpn = context.commonTlsContext?.alpnProtocols.find((protocol) => payload.tls!.alpn.includes(protocol));
  // What was agreed upon is nothing to a chain that passes bytes on.
  if (alpn === 'h2' && payload.http?.version !== '2' && readsHttp(chain)) {
    recorder.step('tls', '', 'HTTP/2 is agreed upon in the handshake, and something else is spoken: the connection is closed');
    return recorder.closed('', 'not HTTP/2');
  }
  const asked = context.commonTlsContext?.validationContextType.case !== undefined && payload.tls.certificate !== false;
  const { identity } = payload.tls;
  return { certificate: context.requireClientCertificate ? 'shown' : asked ? 'possible' : 'none', identity: asked ? identity : undefined };
}

/** Whether the roots of the mesh verify the client's certificate: no application has one that they do. */
function verifiedByMesh(common: CommonTlsContext | undefined): boolean {
  const type = common?.validationContextType;
  const secret = type?.case === 'combinedValidationContext' ? type.value.validationContextSdsSecretConfig : undefined;
  return (type?.case === 'validationContextSdsSecretConfig' ? type.value : secret)?.name === ROOT_SECRET;
}

function readsHttp({ filters }: FilterChain): boolean {
  return filters.some(({ configType }) => configType.case === 'typedConfig' && typeNameOf(configType.value) === HCM);
}

const HCM = HttpConnectionManagerSchema.typeName;
const TCP_PROXY = TcpProxySchema.typeName;
const SNI_CLUSTER = 'envoy.extensions.filters.network.sni_cluster.v3.SniCluster';
const CONNECTION_LIMIT = 'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit';

function runFilters(hop: HopContext): HopResult {
  const { proxy, chain, recorder } = hop;
  const overrides: TcpOverrides = { sniCluster: false, forwardPort: undefined };
  let refused: Refused | undefined;
  let noted: DynamicMetadata | undefined;
  for (const filter of chain.config.filters) {
    const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(config);
    if (type === CONNECTION_LIMIT || OBSERVING_FILTERS.has(type)) continue;
    if (type === RBACSchema.typeName) {
      const rbac = compiledRbac(proxy.unpack(config, RBACSchema, filter.name), filter.name);
      if (rbac instanceof Error) return recorder.undecided(rbac.message);
      refused ??= refusedBy(rbac, hop);
      noted = withMetadata(noted, notedBy(rbac, hop));
      continue;
    }
    if (type === ExtAuthzSchema.typeName) {
      const authorizer = compileNetworkExtAuthz(proxy.unpack(config, ExtAuthzSchema, filter.name), filter.name);
      if (!refused && authorizer.asks(noted)) {
        const { why, origins } = authorizer.undecided(noted);
        if (origins) recorder.step('policy', '', why, origins);
        return recorder.undecided(why);
      }
      continue;
    }
    if (type === SNI_CLUSTER) {
      overrides.sniCluster = true;
      continue;
    }
    if (type === SniForwardProxySchema.typeName) {
      const { portSpecifier } = proxy.unpack(config, SniForwardProxySchema, filter.name);
      overrides.forwardPort = portSpecifier.case === 'portValue' ? portSpecifier.value : 443;
      continue;
    }
    if (type === TCP_PROXY) {
      recorder.protocol = 'tcp';
      const settings = proxy.unpack(config, TcpProxySchema, filter.name);
      if (!refused) return tcpProxy(hop, settings, overrides);
      const cluster = tcpCluster(hop, settings, overrides);
      return cluster instanceof Error ? recorder.undecided(cluster.message) : refuse(hop, refused, cluster);
    }
    if (type === HCM) {
      if (refused) return refuse(hop, refused, '');
      recorder.protocol = 'http';
      return http(hop, proxy.unpack(config, HttpConnectionManagerSchema, filter.name));
    }
    return recorder.undecided(`network filter ${filter.name} (${type}) is not simulated`);
  }
  return recorder.closed('', refusalOf(chain.config.metadata) ?? 'the filter chain has no filter');
}
