/** Listeners' own counters under Envoy's names, and the connections of connection managers. */
import { hostPort } from '../../lib/socket-address.ts';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { listenerAddresses } from '../../xds/match/listener.ts';
import { copyDownstream } from '../copy-downstream.ts';
import type { ConnectionHandler } from '../types.ts';
import type { StatsRegistry, StatsSource } from './registry.ts';

/** What a listener shows of itself; the data plane's listeners have more. */
export interface ListenerView {
  /** As `listenerStatName` gives it. */
  readonly statName: string;
  readonly active: number;
  readonly stats: {
    readonly downstreamCxTotal: number;
    readonly noFilterChainMatch: number;
    readonly downstreamPreCxTimeout: number;
    readonly sslHandshakeError: number;
  };
}

/** `stat_prefix`, else the address with its colons replaced: `0.0.0.0_15001`. */
export function listenerStatName(config: Listener): string {
  if (config.statPrefix !== '') return config.statPrefix;
  const [first] = listenerAddresses(config);
  return first ? hostPort(first.ip, first.port).replaceAll(':', '_') : config.name;
}

/** Reads the present listeners at each snapshot: `listener.ADDRESS.downstream_cx_total` and the like. */
export function listenerStatsSource(listeners: () => Iterable<ListenerView>): StatsSource {
  return ({ counter, gauge }) => {
    for (const { statName, active, stats } of listeners()) {
      const prefix = `listener.${statName}.`;
      counter(`${prefix}downstream_cx_total`, stats.downstreamCxTotal);
      counter(`${prefix}no_filter_chain_match`, stats.noFilterChainMatch);
      counter(`${prefix}downstream_pre_cx_timeout`, stats.downstreamPreCxTimeout);
      counter(`${prefix}ssl.connection_error`, stats.sslHandshakeError);
      gauge(`${prefix}downstream_cx_active`, active);
    }
  };
}

/** Counts the connections that a connection manager takes: `http.PREFIX.downstream_cx_total` and `_active`. */
export function countConnections(registry: StatsRegistry, statPrefix: string, handler: ConnectionHandler): ConnectionHandler {
  const total = registry.counter(`http.${statPrefix}.downstream_cx_total`);
  const active = registry.gauge(`http.${statPrefix}.downstream_cx_active`);
  const left = () => {
    active.value--;
  };
  return {
    onConnection(downstream) {
      total.value++;
      active.value++;
      const { socket, head, remoteAddress, reenter } = downstream;
      socket.once('close', left);
      // A connection that goes back to the listener has left, and may come again.
      const back = (unread: Buffer): void => {
        socket.off('close', left);
        left();
        reenter!(unread);
      };
      handler.onConnection(reenter ? copyDownstream(downstream, head, remoteAddress, back) : downstream);
    },
    drain: () => handler.drain(),
    get active() {
      return handler.active;
    },
  };
}
