/** How a client of the protocol knows its control plane, and proves who it is. */
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { type ChannelCredentials, credentials, Metadata } from '@grpc/grpc-js';
import { readNeededText } from '../../lib/regular-file.ts';
import { CONTROL_PLANE_HOST } from '../../lib/spiffe.ts';

/** PEM. */
export interface ClientTls {
  /** Whom to trust. */
  readonly ca: string;
  /** Of this client; without it, it does not prove who it is. */
  readonly own?: { readonly certificate: string; readonly key: string };
  /** By which it proves who it is where it has no certificate. */
  readonly token?: string;
}

/** The files of TLS, by absolute paths. */
export interface TlsFiles {
  readonly ca: string;
  readonly own?: { readonly certificate: string; readonly key: string };
  readonly token?: string;
}

/** Undefined for plaintext. @throws SallyportError `file-unreadable` */
export function readTls(files: TlsFiles | undefined): ClientTls | undefined {
  if (!files) return undefined;
  const { ca, own, token } = files;
  return {
    ca: readNeededText(ca),
    ...(own ? { own: { certificate: readNeededText(own.certificate), key: readNeededText(own.key) } } : {}),
    ...(token === undefined ? {} : { token: readNeededText(token).trim() }),
  };
}

/** @param address of the control plane, IP address or name @param tls undefined for plaintext. Throws what is wrong with the certificates. */
export function clientCredentials(address: string, tls: ClientTls | undefined): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const { ca, own, token } = tls;
  const checkIdentity = (_host: string, certificate: PeerCertificate) =>
    checkServerIdentity(CONTROL_PLANE_HOST, certificate) && checkServerIdentity(address, certificate);
  const channel = credentials.createSsl(Buffer.from(ca), own ? Buffer.from(own.key) : null, own ? Buffer.from(own.certificate) : null, {
    checkServerIdentity: checkIdentity,
  });
  if (token === undefined) return channel;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return credentials.combineChannelCredentials(
    channel,
    credentials.createFromMetadataGenerator((_call, done) => done(null, metadata)),
  );
}

/** What a client asks for by SNI: addresses are no names. */
export function serverNameFor(address: string): string {
  return isIP(address) ? CONTROL_PLANE_HOST : address;
}
