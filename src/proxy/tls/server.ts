/** TLS towards the client: one DownstreamTlsContext, one handshake at a time. */

import { constants, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { toBinary } from '@bufbuild/protobuf';
import { type DownstreamTlsContext, DownstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { interceptedHost } from '../../xds/names.ts';
import { METADATA_EXCHANGE_ALPN } from '../../xds/observing.ts';
import { unsupported } from '../../xds/unpack.ts';
import type { PeerCertificate } from '../types.ts';
import { type ContextSide, TlsContext } from './context.ts';
import type { MaterialStore } from './material.ts';
import { SESSION_MS } from './sessions.ts';
import { certificateFailure, checkCertificate, peerCertificate } from './verify.ts';

interface AcceptedTls {
  readonly socket: TLSSocket;
  readonly serverName: string;
  readonly alpn: string;
  readonly version: string;
  readonly cipher: string;
  readonly peer: PeerCertificate | undefined;
  /** The certificate that was served; only where the peer showed one, too. */
  readonly local: PeerCertificate | undefined;
}

export interface ServerTls {
  /** The host that the proxy stands in for, where it sees through the client's TLS. */
  readonly intercepts: string | undefined;
  /**
   * Shakes hands on a paused socket whose unread bytes have been put back (`unshift`). `done` is called once, with a paused TLS socket, or with
   * the reason, the socket then being destroyed. `offered`: the client's ALPN where the ClientHello was inspected.
   */
  accept(
    socket: Socket,
    offered: readonly string[] | undefined,
    timeoutMs: number,
    done: (result: AcceptedTls | { readonly failure: string }) => void,
  ): void;
}

/** What a TLSSocket has no public name for outside a tls.Server. */
interface TlsHandle {
  /** OpenSSL's verdict on the peer's chain; of a resumed session that of its full handshake. */
  verifyError(): (Error & { code?: string }) | null;
  /** The context for the server name that the client sent. Where it is set OpenSSL keeps the name in sessions of TLS 1.2, which else have none once they are resumed. */
  sni_context: unknown;
}

function handleOf(socket: TLSSocket): TlsHandle {
  return (socket as unknown as { ssl: TlsHandle }).ssl;
}

/** Throws `xds-unsupported` or `xds-invalid`. */
export function createServerTls(config: DownstreamTlsContext, store: MaterialStore, where: string): ServerTls {
  if (
    config.sessionTicketKeysType.case === 'sessionTicketKeys' ||
    config.sessionTicketKeysType.case === 'sessionTicketKeysSdsSecretConfig'
  ) {
    unsupported(`${where}.session_ticket_keys`, 'not supported; each process makes its own');
  }
  const context = new TlsContext(config.commonTlsContext, store, `${where}.common_tls_context`, sideOf(config));
  const requireCertificate = config.requireClientCertificate ?? false;
  const requestCert = requireCertificate || context.requiresTrust;

  const [own] = config.commonTlsContext?.tlsCertificateSdsSecretConfigs ?? [];

  return {
    intercepts: own && interceptedHost(own.name),
    accept(raw, offered, timeoutMs, done) {
      const state = context.state();
      if ('missing' in state || !state.hasCertificate) {
        raw.destroy();
        done({ failure: 'missing' in state ? state.missing : 'there is no certificate to present' });
        return;
      }
      const negotiates = context.alpn.length > 0 && (!offered || offered.some((protocol) => context.alpn.includes(protocol)));
      const socket = new TLSSocket(raw, {
        isServer: true,
        secureContext: state.secureContext,
        requestCert,
        rejectUnauthorized: false,
        ...(negotiates ? { ALPNCallback: ({ protocols }) => choose(context.alpn, protocols) } : {}),
      });
      handleOf(socket).sni_context = state.secureContext.context;
      let finished = false;
      const timer = timeoutMs > 0 ? setTimeout(() => fail('handshake timeout'), timeoutMs) : undefined;
      const fail = (failure: string): void => {
        if (finished) return;
        finished = true;
        clearTimeout(timer);
        socket.destroy();
        raw.destroy();
        done({ failure });
      };
      socket.on('error', (error) => fail(error.message));
      raw.on('error', (error) => fail(error.message));
      socket.on('close', () => fail('the client closed the connection during the handshake'));
      socket.on('secure', () => {
        if (finished) return;
        const refused = verdict(socket);
        if (refused !== undefined) {
          fail(refused);
          return;
        }
        finished = true;
        clearTimeout(timer);
        // As tls.Server does: an HTTP/2 session on the socket waits for it.
        Object.assign(socket, { secureConnecting: false });
        const peer = requestCert ? peerCertificate(socket.getPeerCertificate()) : undefined;
        const serverName = typeof socket.servername === 'string' ? socket.servername.toLowerCase() : '';
        done({
          socket,
          serverName,
          alpn: socket.alpnProtocol || '',
          version: socket.getProtocol() ?? '',
          cipher: socket.getCipher().standardName,
          peer,
          local: peer && peerCertificate(socket.getCertificate() as Parameters<typeof peerCertificate>[0]),
        });
      });

      function verdict(shaken: TLSSocket): string | undefined {
        if (config.requireSni && !shaken.servername) return 'the client sent no server name';
        if (!requestCert || 'missing' in state) return undefined;
        const certificate = shaken.getPeerCertificate();
        if (!certificate?.fingerprint256) return requireCertificate ? 'the client presented no certificate' : undefined;
        if (state.verifies) {
          const error = handleOf(shaken).verifyError();
          if (error) return certificateFailure(error.code ?? error.message);
          // Of a resumed session the chain is not looked at again, and where what it is verified by has changed none is resumed; that leaves time.
          if (shaken.isSessionReused() && !(Date.parse(certificate.valid_to) > Date.now())) return certificateFailure('CERT_HAS_EXPIRED');
        }
        const why = checkCertificate(certificate, state.expected);
        return why === undefined ? undefined : certificateFailure(why);
      }
    },
  };
}

/** Sessions of one context must not resume in another, which may ask for other client certificates. */
function sideOf(config: DownstreamTlsContext): ContextSide {
  const withoutTickets = config.sessionTicketKeysType.case === 'disableStatelessSessionResumption' && config.sessionTicketKeysType.value;
  const longest = SESSION_MS / 1000;
  return {
    identity: createHash('sha256').update(toBinary(DownstreamTlsContextSchema, config)).digest('hex'),
    options: {
      sessionTimeout: Math.min(Number(config.sessionTimeout?.seconds ?? longest), longest),
      secureOptions: withoutTickets ? constants.SSL_OP_NO_TICKET : 0,
    },
    tickets: !withoutTickets,
  };
}

/**
 * The server's first protocol that the client offers. Without a common one Envoy goes on without ALPN, and so do connections whose ClientHello was
 * inspected; else node can only end the handshake or take one that was offered, and takes the client's first that promises nothing.
 */
function choose(own: readonly string[], offered: readonly string[]): string | undefined {
  return own.find((protocol) => offered.includes(protocol)) ?? offered.find((protocol) => protocol !== METADATA_EXCHANGE_ALPN);
}
