/** Whether the forward proxy in front of a host can be asked: its internal listener and its own cluster say so, as they do in the data plane. */
import { splitAuthority } from '../http/authority.ts';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type TcpProxy, TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { refusalOf } from '../xds/match/metadata.ts';
import { throughListenerName } from '../xds/through.ts';
import { typeNameOf } from '../xds/unpack.ts';
import { upstreamsOf } from './cluster.ts';
import type { SimulatedProxy } from './proxy.ts';

export interface NotAsked {
  readonly why: string;
  /** The control plane says so of its own accord; else the configuration lacks something. */
  readonly refused: boolean;
}

/** Why the proxy at `through`, `host:port`, is not asked; undefined where it is. */
export function notAsked(proxy: SimulatedProxy, through: string): NotAsked | undefined {
  const because = (why: string, refused: boolean) => ({ why: `${through}, a forward proxy, ${why}`, refused });
  const { host, port } = splitAuthority(through, 0);
  const listener = proxy.listenerNamed(throughListenerName(host, port));
  if (!listener) return because('has no listener that asks it', false);
  const refusal = refusalOf(listener.metadata);
  if (refusal !== undefined) return because(refusal, true);
  const { clusterSpecifier } = tcpProxyOf(proxy, listener) ?? {};
  const cluster = clusterSpecifier?.case === 'cluster' ? proxy.cluster(clusterSpecifier.value) : undefined;
  if (!cluster) return because('has no cluster at this proxy', false);
  const upstreams = upstreamsOf(proxy, cluster, { ip: '', port }, undefined);
  return upstreams.kind === 'none' ? because(`cannot be reached: ${upstreams.why}`, refusalOf(cluster.metadata) !== undefined) : undefined;
}

function tcpProxyOf(proxy: SimulatedProxy, { filterChains: [chain] }: Listener): TcpProxy | undefined {
  const config = chain?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig' || typeNameOf(config.value) !== TcpProxySchema.typeName) return undefined;
  return proxy.unpack(config.value, TcpProxySchema, 'tcp_proxy');
}
