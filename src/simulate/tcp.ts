/** What a TCP proxy does with a call. */

import { type Authority, splitAuthority } from '../http/authority.ts';
import { BINDING_FLAG } from '../http/binding.ts';
import { messageOf } from '../lib/errors.ts';
import type { TcpProxy } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { bindingOf, disagreementDetails } from '../xds/match/binding.ts';
import { originsOf } from '../xds/match/metadata.ts';
import { tcpClusters, type WeightedCluster } from '../xds/match/tcp-clusters.ts';
import { unbound, unboundText } from './binding.ts';
import { forward } from './forward.ts';
import type { HopContext } from './hop-options.ts';
import type { HopResult } from './recorder.ts';

/** What filters before a TCP proxy ask of it. */
export interface TcpOverrides {
  /** The SNI is the cluster's name. */
  sniCluster: boolean;
  /** The SNI is the host to look up, with this port. */
  forwardPort: number | undefined;
}

/** The name of the cluster that a connection goes to; an error, why, where no proxy takes the configuration. */
export function tcpCluster({ call, options }: HopContext, config: TcpProxy, { sniCluster }: TcpOverrides): string | Error {
  const clusters = readClusters(config);
  if (clusters instanceof Error) return clusters;
  const serverName = call.payload.tls?.serverName ?? '';
  if (sniCluster && serverName !== '') return serverName;
  return clusters[clusters.length > 1 ? options.weigh(clusters.map(({ weight }) => weight)) : 0]!.name;
}

function readClusters(config: TcpProxy): readonly WeightedCluster[] | Error {
  try {
    return tcpClusters(config, 'tcp_proxy');
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

export function tcpProxy(hop: HopContext, config: TcpProxy, overrides: TcpOverrides): HopResult {
  const { proxy, chain, call, options, recorder } = hop;
  const { sniCluster, forwardPort } = overrides;
  const serverName = call.payload.tls?.serverName ?? '';
  const name = tcpCluster(hop, config, overrides);
  if (name instanceof Error) return recorder.undecided(name.message);
  if (sniCluster && options.representative && !proxy.cluster(name))
    return recorder.undecided('the SNI names the cluster (AUTO_PASSTHROUGH), and a client may name any');
  const origins = originsOf(chain.config.metadata);
  const cluster = proxy.cluster(name);
  const binding = bindingOf(chain.config.metadata) ?? bindingOf(cluster?.metadata);
  const disagrees = cluster && unbound(hop, binding, undefined);
  if (binding && disagrees) {
    recorder.cluster = name;
    recorder.step('policy', '', unboundText(binding, disagrees), origins);
    if (binding.mode === 'enforce') return recorder.closed(BINDING_FLAG, disagreementDetails(disagrees.found));
  }
  const tunnelled = tunnelTo(config.tunnelingConfig?.hostname, serverName);
  if (tunnelled === 'unknown')
    return recorder.undecided(`which host a tunnel is to lead to (${config.tunnelingConfig!.hostname}) is not simulated`);
  const target = forwardPort !== undefined && serverName !== '' ? { host: serverName, port: forwardPort } : undefined;
  return forward(hop, name, call, target, {
    origins,
    noCluster: () => recorder.closed('NC', `cluster ${name} does not exist`),
    noHost: (why, flag) => recorder.closed(flag, why),
    failed: (why) => recorder.closed('UF,URX', why),
    ...(tunnelled && { tunnel: tunnelled }),
  });
}

/** What a forward proxy is asked for; undefined where none is, `unknown` where the connection says it in a way that is not simulated. */
function tunnelTo(hostname: string | undefined, serverName: string): Authority | 'unknown' | undefined {
  if (hostname === undefined) return undefined;
  const asked = hostname.replace('%REQUESTED_SERVER_NAME%', serverName);
  return asked.includes('%') ? 'unknown' : splitAuthority(asked, 0);
}
