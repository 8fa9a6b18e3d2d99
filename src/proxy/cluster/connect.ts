/** Opens upstream connections: address, source address, TLS, connect timeout, and the counts that go with them. */

import { Socket, type TcpNetConnectOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { splitAuthority } from '../../http/authority.ts';
import { codeOf } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import { connectBare } from '../net/connect.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import { type ClientTlsRequest, handshakeFailure } from '../tls/client.ts';
import type { Cluster, UpstreamConnectDone, UpstreamConnectOptions, UpstreamFailure } from '../types.ts';
import type { Host } from './host.ts';
import type { ClusterSettings } from './settings.ts';
import type { TransportChoice } from './transport.ts';

export interface Connector {
  readonly settings: ClusterSettings;
  readonly protocol: Cluster['protocol'];
  readonly transports: TransportChoice;
  readonly limits: Cluster['limits'];
  readonly stats: Cluster['stats'];
}

/** As Envoy's connection pools: offered where the TLS context names no protocols. */
const FALLBACK_ALPN: Readonly<Record<Cluster['protocol'], readonly string[]>> = {
  http1: ['http/1.1'],
  http2: ['h2'],
  downstream: ['http/1.1'],
  alpn: ['h2', 'http/1.1'],
};

/** The system's words, which Envoy's logs print. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = table({
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  ETIMEDOUT: 'Connection timed out',
  ENETUNREACH: 'Network is unreachable',
  EHOSTUNREACH: 'No route to host',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EMFILE: 'Too many open files',
  EPIPE: 'Broken pipe',
});

function systemError(error: unknown): string {
  const code = codeOf(error) ?? '';
  return SYSTEM_ERRORS[code] ?? (code || 'unknown error');
}

/** Host without port and brackets, in lower case. */
function hostOf(authority: string | undefined): string | undefined {
  return authority ? splitAuthority(authority, 0).host.toLowerCase() || undefined : undefined;
}

/** The names that TLS takes from the request. */
export function authorityOf({ autoSni, autoSanValidation }: ClusterSettings, options: UpstreamConnectOptions) {
  const authority = autoSni || autoSanValidation ? hostOf(options.authority) : undefined;
  return { autoSni: autoSni ? authority : undefined, autoSan: autoSanValidation ? authority : undefined };
}

/** What TLS is to offer. */
export function offeredAlpn({ protocol }: Connector, options: UpstreamConnectOptions): Pick<ClientTlsRequest, 'alpn' | 'alpnInPlace'> {
  const { alpn, alpnInPlace, halfOpen } = options;
  return { alpn: alpn ?? (halfOpen ? [] : FALLBACK_ALPN[protocol]), alpnInPlace };
}

export function openConnection(connector: Connector, host: Host, options: UpstreamConnectOptions, done: UpstreamConnectDone): () => void {
  const { settings, limits, stats } = connector;
  const transport = connector.transports(host.transportMatch);
  host.connections++;
  limits.connections.used++;
  stats.upstreamCxTotal++;
  stats.upstreamCxActive++;

  let finished = false;
  let connected = false;
  let secured = false;
  const finish = (failure: UpstreamFailure | undefined): void => {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    if (failure) {
      stats.upstreamCxConnectFail++;
      socket.destroy();
    } else {
      // Whoever gets the socket listens for errors itself.
      socket.off('error', onError);
      socket.on('error', ignore);
    }
    const alpn = failure || !transport ? '' : (socket as TLSSocket).alpnProtocol || '';
    done(failure, socket, alpn);
  };
  const onError = (error: Error): void => {
    if (!connected) finish({ kind: 'connect', reason: `delayed connect error: ${systemError(error)}` });
    else if (transport && !secured) finish(handshakeError(error));
  };

  const opened = open();
  const socket: StreamSocket = 'missing' in opened ? new Socket() : opened;
  socket.once('close', () => {
    host.connections--;
    limits.connections.used--;
    stats.upstreamCxActive--;
    stats.upstreamCxTxBytes += socket.bytesWritten;
    stats.upstreamCxRxBytes += socket.bytesRead;
    if (connected && !finished) finish({ kind: 'tls', reason: 'connection closed during the TLS handshake' });
  });
  socket.on('error', onError);
  const timer = setTimeout(() => finish({ kind: 'connect-timeout' }), settings.connectTimeoutMs);
  if ('missing' in opened) {
    const { missing } = opened;
    setImmediate(() => finish({ kind: 'tls', reason: missing }));
  } else {
    socket.once('connect', () => {
      connected = true;
      if (!transport) finish(undefined);
    });
  }
  return () => {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    socket.on('error', ignore);
    socket.destroy();
  };

  function open(): StreamSocket | { readonly missing: string } {
    if (!transport) return (options.nodeSocket ? undefined : openBare(settings, host, options)) ?? openSocket(settings, host, options);
    return transport.connect(
      {
        target: targetOf(settings, host, options),
        ...authorityOf(settings, options),
        sessions: host.sessions,
        ...offeredAlpn(connector, options),
      },
      (failure) => {
        secured = true;
        finish(failure === undefined ? undefined : { kind: 'tls', reason: failure });
      },
    );
  }
}

/** Undefined where the connection takes a `net.Socket`: at a unix socket, or as Node's internals are not as expected. */
function openBare(
  settings: ClusterSettings,
  { address: { ip, port } }: Host,
  { halfOpen }: UpstreamConnectOptions,
): StreamSocket | undefined {
  if (port === 0) return undefined;
  const socket = connectBare({ ip, port, from: settings.bindAddress, keepAliveMs: settings.keepAliveMs });
  if (socket) socket.allowHalfOpen = halfOpen ?? false;
  return socket;
}

function openSocket(settings: ClusterSettings, host: Host, options: UpstreamConnectOptions): Socket {
  const target = targetOf(settings, host, options);
  return new Socket(target).connect(target);
}

function targetOf({ keepAliveMs, bindAddress }: ClusterSettings, { address: { ip, port } }: Host, { halfOpen }: UpstreamConnectOptions) {
  const target: TcpNetConnectOpts & { path?: string } = {
    ...(port === 0 ? ({ path: ip } as unknown as TcpNetConnectOpts) : { host: ip, port }),
    noDelay: true,
    ...(keepAliveMs === undefined ? {} : { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
    ...(bindAddress && port !== 0 ? { localAddress: bindAddress } : {}),
    ...(halfOpen ? { allowHalfOpen: true } : {}),
  };
  return target;
}

function ignore(): void {
  // The socket's `close` event tells all that matters.
}

export function handshakeError(error: Error): UpstreamFailure {
  return { kind: 'tls', reason: codeOf(error) === 'ECONNRESET' ? 'connection reset during the TLS handshake' : handshakeFailure(error) };
}
