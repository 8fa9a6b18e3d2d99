/** The TCP proxy: the terminal network filter that carries bytes between a client and a cluster. */
import type { TcpProxy as TcpProxyConfig } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { createDial } from '../tunnel/dial.ts';
import type { ConnectionHandler } from '../types.ts';
import { Relay } from './relay.ts';
import { readTcpSettings, type TcpProxyDeps, type TcpProxyOverrides } from './settings.ts';

/** A TCP proxy that can also cut its connections: when the process ends. */
interface TcpProxyHandler extends ConnectionHandler {
  close(): void;
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function createTcpProxy(config: TcpProxyConfig, overrides: TcpProxyOverrides, deps: TcpProxyDeps, where: string): TcpProxyHandler {
  const settings = readTcpSettings(config, overrides, deps, where);
  const relays = new Set<Relay>();
  const handler: TcpProxyHandler = {
    clusters: settings.clusters,
    dial: settings.tunnel && createDial(settings, settings.tunnel, deps),
    onConnection(downstream) {
      const connection = { downstream, handler, end: (details: string) => relay.end(details) };
      const relay = new Relay(downstream, settings, deps, () => {
        relays.delete(relay);
        deps.open.delete(connection);
      });
      relays.add(relay);
      deps.open.add(connection);
      relay.start();
    },
    refused(downstream, refusal) {
      new Relay(downstream, settings, deps, () => undefined).refused(refusal);
    },
    // Bytes have no place at which a connection could be told to close: it goes on until one side ends it.
    drain: () => undefined,
    get active() {
      return relays.size;
    },
    close() {
      for (const relay of [...relays]) relay.cut();
    },
  };
  return handler;
}
