/** TLS towards upstreams: one UpstreamTlsContext. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { toBinary } from '@bufbuild/protobuf';
import { type UpstreamTlsContext, UpstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { type ReadyContext, TlsContext } from './context.ts';
import type { MaterialStore } from './material.ts';
import { type KeptSessions, SESSION_MS } from './sessions.ts';
import { certificateFailure, checkCertificate, exactSan } from './verify.ts';

export interface ClientTlsRequest {
  /** Where to connect, as node takes it, with `allowHalfOpen` and the like. */
  readonly target: ConnectionOptions;
  /** Name from the request's authority: used for SNI and verification where the cluster's `auto_sni` and `auto_san_validation` say so. */
  readonly autoSni: string | undefined;
  readonly autoSan: string | undefined;
  /** Of this host; the key is chosen here. */
  readonly sessions: KeptSessions;
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
  const identity = createHash('sha256').update(toBinary(UpstreamTlsContextSchema, config)).digest('hex');
  const context = new TlsContext(config.commonTlsContext, store, `${where}.common_tls_context`, { identity });
  return {
    connect({ target, autoSni, autoSan, sessions, alpn, alpnInPlace }, done) {
      const state = context.state();
      if ('missing' in state) return { missing: `TLS_error: ${state.missing}` };
      // An IP address is not allowed as SNI (RFC 6066 §3).
      const serverName = [autoSni, config.sni].find((name) => name && isIP(name) === 0) ?? '';
      const sessionKey = `${state.id} ${serverName} ${autoSan ?? ''}`;
      const protocols = alpnInPlace ?? (context.alpn.length > 0 ? context.alpn : alpn);
      const kept = sessions.find(sessionKey);
      const socket = connect({
        ...target,
        secureContext: state.secureContext,
        // Empty: no SNI is sent, rather than the host's name.
        servername: serverName,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(kept ? { session: kept.session } : {}),
        ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
      });
      /** Set once the peer is who it must be. */
      let until: number | undefined;
      // Node tells of sessions after the handshake, and of those of TLS 1.2 only whoever listened before.
      socket.on('session', (session) => {
        if (until !== undefined) sessions.keep(sessionKey, { session, until });
      });
      socket.once('secureConnect', () => {
        const resumed = socket.isSessionReused() ? kept : undefined;
        const failure = resumed ? chainVerdict(socket, state) : verdict(socket, state, autoSan);
        if (failure === undefined && config.maxSessionKeys !== 0) until = resumed?.until ?? verifiedUntil(socket);
        done(failure);
      });
      return socket;
    },
  };
}

/** The chain's verdict, in Envoy's words; a resumed session has that of its full handshake. */
function chainVerdict(socket: TLSSocket, state: ReadyContext): string | undefined {
  return state.verifies && !socket.authorized ? certificateFailure(String(chainErrorCode(socket))) : undefined;
}

/** The chain's and the names' verdict. What the names must be is part of the session's key, so a resumed session needs none. */
function verdict(socket: TLSSocket, state: ReadyContext, autoSan: string | undefined): string | undefined {
  const chain = chainVerdict(socket, state);
  if (chain !== undefined) return chain;
  const { sans, hashes, spki } = state.expected;
  if (autoSan === undefined && sans.length + hashes.length + spki.length === 0) return undefined;
  const certificate = socket.getPeerCertificate();
  const called = autoSan === undefined ? undefined : checkCertificate(certificate, { sans: [exactSan(autoSan)], hashes: [], spki: [] });
  const why = called ?? checkCertificate(certificate, state.expected);
  return why === undefined ? undefined : certificateFailure(why);
}

/** `authorizationError` is typed as an Error and is OpenSSL's code as a string. */
function chainErrorCode(socket: TLSSocket): unknown {
  return socket.authorizationError;
}

/** A session does not outlive the certificate that was verified for it. */
function verifiedUntil(socket: TLSSocket): number {
  const end = socket.getPeerX509Certificate()?.validToDate.getTime();
  return Math.min(Date.now() + SESSION_MS, end ?? Number.POSITIVE_INFINITY);
}

/** Envoy's reason for a handshake that OpenSSL broke off. */
export function handshakeFailure(error: Error & { code?: string; reason?: string }): string {
  const reason = (error.reason ?? error.code ?? error.message)
    .replace(/^ERR_SSL_/, '')
    .toUpperCase()
    .replaceAll(' ', '_');
  return `TLS_error:|268435456:SSL routines:OPENSSL_internal:${reason}:TLS_error_end`;
}
