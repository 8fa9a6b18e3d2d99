/** TLS towards upstreams: one UpstreamTlsContext. */
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { UpstreamTlsContext } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { type ReadyContext, TlsContext } from './context.ts';
import type { MaterialStore } from './material.ts';
import { certificateFailure, checkCertificate, exactSan } from './verify.ts';

export interface ClientTlsRequest {
  /** Where to connect, as node takes it, with `allowHalfOpen` and the like. */
  readonly target: ConnectionOptions;
  /** Name from the request's authority: used for SNI and verification where the cluster's `auto_sni` and `auto_san_validation` say so. */
  readonly autoSni: string | undefined;
  readonly autoSan: string | undefined;
  /** Keeps session tickets for this host; the key is chosen here. */
  readonly sessions: Map<string, Buffer>;
  /** Offered where the context names no protocols. */
  readonly alpn: readonly string[];
  /** Offered whatever the context names. */
  readonly alpnInPlace?: readonly string[] | undefined;
}

export interface ClientTls {
  /**
   * Starts connecting. `done` is called once, after the call: without a failure, when the handshake is through and the certificate is what it
   * must be; with Envoy's failure reason otherwise. Errors before the handshake (refused, unreachable) are the caller's: they come as `error`.
   */
  connect(request: ClientTlsRequest, done: (failure: string | undefined) => void): TLSSocket | { readonly missing: string };
}

/** Throws `xds-unsupported` or `xds-invalid`. */
export function createClientTls(config: UpstreamTlsContext, store: MaterialStore, where: string): ClientTls {
  const context = new TlsContext(config.commonTlsContext, store, `${where}.common_tls_context`);
  return {
    connect({ target, autoSni, autoSan, sessions, alpn, alpnInPlace }, done) {
      const state = context.state();
      if ('missing' in state) return { missing: `TLS_error: ${state.missing}` };
      // An IP address is not allowed as SNI (RFC 6066 §3).
      const serverName = [autoSni, config.sni].find((name) => name && isIP(name) === 0) ?? '';
      const sessionKey = `${state.id} ${serverName} ${autoSan ?? ''}`;
      const protocols = alpnInPlace ?? (context.alpn.length > 0 ? context.alpn : alpn);
      const session = sessions.get(sessionKey);
      const socket = connect({
        ...target,
        secureContext: state.secureContext,
        // Empty: no SNI is sent, rather than the host's name.
        servername: serverName,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(session ? { session } : {}),
        ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
      });
      socket.once('secureConnect', () => {
        const failure = socket.isSessionReused() ? undefined : verdict(socket, state, autoSan);
        if (failure === undefined && config.maxSessionKeys !== 0) socket.on('session', (ticket) => keep(sessions, sessionKey, ticket));
        done(failure);
      });
      return socket;
    },
  };
}

/** The chain's and the names' verdict, in Envoy's words. */
function verdict(socket: TLSSocket, state: ReadyContext, autoSan: string | undefined): string | undefined {
  if (state.verifies && !socket.authorized) return certificateFailure(String(chainErrorCode(socket)));
  const sans = autoSan === undefined ? state.expected.sans : [exactSan(autoSan)];
  const expected = { ...state.expected, sans };
  if (sans.length === 0 && expected.hashes.length === 0 && expected.spki.length === 0) return undefined;
  const why = checkCertificate(socket.getPeerCertificate(), expected);
  return why === undefined ? undefined : certificateFailure(why);
}

/** `authorizationError` is typed as an Error and is OpenSSL's code as a string. */
function chainErrorCode(socket: TLSSocket): unknown {
  return socket.authorizationError;
}

function keep(sessions: Map<string, Buffer>, key: string, ticket: Buffer): void {
  // Keys change with the material and the names: few are alive at a time.
  if (sessions.size > 16) sessions.clear();
  sessions.set(key, ticket);
}

/** Envoy's reason for a handshake that OpenSSL broke off. */
export function handshakeFailure(error: Error & { code?: string; reason?: string }): string {
  const reason = (error.reason ?? error.code ?? error.message)
    .replace(/^ERR_SSL_/, '')
    .toUpperCase()
    .replaceAll(' ', '_');
  return `TLS_error:|268435456:SSL routines:OPENSSL_internal:${reason}:TLS_error_end`;
}
