/** x-forwarded-client-cert: what the proxy tells upstreams of the client's certificate (`forward_client_cert_details`). */
import type { HeaderMap } from '../../http/header-map.ts';
import type { Downstream } from '../types.ts';
import type { ManagerOptions } from './options.ts';

const NAME = 'x-forwarded-client-cert';

export function forwardClientCert(headers: HeaderMap, downstream: Downstream, options: ManagerOptions): void {
  const mode = options.forwardClientCert;
  if (mode === 'always-forward-only') return;
  const peer = downstream.tls?.peer;
  if (mode === 'sanitize' || !peer) {
    headers.remove(NAME);
    return;
  }
  if (mode === 'forward-only') return;
  const element = describePeer(downstream, options);
  const before = mode === 'append-forward' ? headers.all(NAME) : [];
  headers.remove(NAME);
  const parts = element === '' ? before : [...before, element];
  if (parts.length > 0) headers.append(NAME, parts.join(','));
}

function describePeer(downstream: Downstream, { clientCertFields: fields }: ManagerOptions): string {
  const { peer, local } = downstream.tls as NonNullable<Downstream['tls']>;
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
