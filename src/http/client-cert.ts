/** x-forwarded-client-cert: what the proxy tells upstreams of the client's certificate (`forward_client_cert_details`). */
import type { ClientConnection } from './connection.ts';
import type { HeaderMap } from './header-map.ts';
import type { ManagerOptions } from './options.ts';

const NAME = 'x-forwarded-client-cert';

export function forwardClientCert(headers: HeaderMap, { tls }: ClientConnection, options: ManagerOptions): void {
  const mode = options.forwardClientCert;
  if (mode === 'always-forward-only') return;
  if (mode === 'sanitize' || !tls?.peer) {
    headers.remove(NAME);
    return;
  }
  if (mode === 'forward-only') return;
  const element = describePeer(tls, options);
  const before = mode === 'append-forward' ? headers.all(NAME) : [];
  headers.remove(NAME);
  const parts = element === '' ? before : [...before, element];
  if (parts.length > 0) headers.append(NAME, parts.join(','));
}

function describePeer({ peer, local }: NonNullable<ClientConnection['tls']>, { clientCertFields: fields }: ManagerOptions): string {
  if (!peer) return '';
  const parts: string[] = [];
  for (const uri of local?.uriSans ?? []) parts.push(`By=${uri}`);
  if (peer.sha256) parts.push(`Hash=${peer.sha256}`);
  if (fields.cert && peer.pem) parts.push(`Cert="${encodeURIComponent(peer.pem)}"`);
  if (fields.chain && peer.chainPem) parts.push(`Chain="${encodeURIComponent(peer.chainPem)}"`);
  if (fields.subject) parts.push(`Subject="${peer.subject.replace(/["\\]/g, '\\$&')}"`);
  if (fields.uri) for (const uri of peer.uriSans) parts.push(`URI=${uri}`);
  if (fields.dns) for (const name of peer.dnsSans) parts.push(`DNS=${name}`);
  return parts.join(';');
}
