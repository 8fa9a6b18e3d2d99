/** Opens connections to endpoints behind an internal listener: through forward proxies, with the cluster's own TLS inside the tunnel. */
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { throughProxyOf } from '../../xds/through.ts';
import type { InternalWay, UpstreamConnectDone, UpstreamConnectOptions, UpstreamFailure } from '../types.ts';
import { authorityOf, type Connector, handshakeError, offeredAlpn } from './connect.ts';
import type { Host } from './host.ts';

export function openThrough(
  connector: Connector,
  host: Host,
  way: InternalWay | undefined,
  options: UpstreamConnectOptions,
  done: UpstreamConnectDone,
): () => void {
  const { settings, limits, stats } = connector;
  const { listener, metadata } = host.internal!;
  const proxy = throughProxyOf(listener) ?? listener;
  host.connections++;
  limits.connections.used++;
  stats.upstreamCxTotal++;
  stats.upstreamCxActive++;
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  let abandonTls: (() => void) | undefined;
  const closed = (socket: Socket): void => {
    host.connections--;
    limits.connections.used--;
    stats.upstreamCxActive--;
    stats.upstreamCxTxBytes += socket.bytesWritten;
    stats.upstreamCxRxBytes += socket.bytesRead;
  };
  const finish = (failure: UpstreamFailure | undefined, socket: Socket, alpn: string): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.on('error', ignore);
    if (failure) {
      stats.upstreamCxConnectFail++;
      socket.destroy();
    }
    done(failure, socket, alpn);
  };
  const secure = (tunnel: Socket): void => {
    const transport = connector.transports(host.transportMatch);
    if (!transport) {
      tunnel.once('close', () => closed(tunnel));
      finish(undefined, tunnel, '');
      return;
    }
    tunnel.on('error', ignore);
    const { autoSni, autoSan } = authorityOf(settings, options);
    const target = { socket: tunnel, ...(options.halfOpen ? { allowHalfOpen: true } : {}) };
    const opened = transport.connect({ target, autoSni, autoSan, sessions: host.sessions, ...offeredAlpn(connector, options) }, (failure) =>
      finish(failure === undefined ? undefined : { kind: 'tls', reason: failure }, opened as Socket, alpnOf(opened as TLSSocket)),
    );
    if ('missing' in opened) {
      tunnel.once('close', () => closed(tunnel));
      finish({ kind: 'tls', reason: opened.missing }, tunnel, '');
      return;
    }
    timer = setTimeout(() => finish({ kind: 'connect-timeout' }, opened, ''), settings.connectTimeoutMs);
    abandonTls = () => opened.destroy();
    opened.on('error', (error) => finish(handshakeError(error), opened, ''));
    opened.once('close', () => {
      tunnel.destroy();
      closed(opened);
      finish({ kind: 'tls', reason: 'connection closed during the TLS handshake' }, opened, '');
    });
  };
  if (!way?.dial || way.refusal !== undefined) {
    const nowhere = new Socket();
    const reason = `through the proxy ${proxy}: it ${way?.refusal ?? 'has no listener that asks it'}`;
    setImmediate(() => {
      closed(nowhere);
      finish({ kind: 'through', reason }, nowhere, '');
    });
    return () => {
      over = true;
    };
  }
  const abandonDial = way.dial({ proxy, metadata, downstream: options.downstream }, (failure, socket) => {
    if (!failure) {
      secure(socket);
      return;
    }
    closed(socket);
    finish(failure, socket, '');
  });
  return () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    if (abandonTls) abandonTls();
    else {
      abandonDial();
      closed(new Socket());
    }
  };
}

function alpnOf(socket: TLSSocket): string {
  return socket.alpnProtocol || '';
}

function ignore(): void {
  // The socket's `close` event tells all that matters.
}
