/** The certificates that proxies have in force and that Secrets hold, with when they end. Keys are not looked at. */
import type { X509Certificate } from 'node:crypto';
import { resourceText } from '../api/resource.ts';
import { proxyName } from '../flows/hub.ts';
import type { CertificateView } from './model.ts';
import type { Moment } from './subject.ts';

/** Of a list that is sent whole. */
const MOST = 2_000;
/** Longer values are no certificates. */
const LONGEST_PEM = 1024 * 1024;
/** A certificate with less than this part of its life left should have been renewed. */
const LAST_PART = 0.2;

/** Those that end first come first, each once. @param now ms since the epoch */
export async function certificatesOf(moment: Moment, now: number): Promise<CertificateView[]> {
  const { certificatesIn, parsePems } = await import('../admin/certs.ts');
  const found = new Map<string, CertificateView>();
  const add = (where: string, kind: CertificateView['kind'], certificate: X509Certificate, more: Partial<CertificateView>) => {
    const key = [where, kind, certificate.fingerprint256].join(' ');
    if (!found.has(key)) found.set(key, { where, kind, ...viewOf(certificate, now), ...more });
  };
  for (const { identity, resources } of moment.proxies) {
    for (const { kind, certificate, path } of certificatesIn(resources))
      add(`proxy ${proxyName(identity)}`, kind === 'caCert' ? 'roots' : 'chain', certificate, path === '<inline>' ? {} : { file: path });
  }
  for (const secret of moment.snapshot.list('Secret')) {
    const { file, line } = secret.source.position();
    for (const [key, value] of Object.entries(secret.spec.data)) {
      if (value.reveal().length > LONGEST_PEM) continue;
      const kind = /^ca|cacert/.test(key) ? 'roots' : 'chain';
      for (const certificate of parsePems(value.revealText())) add(resourceText(secret), kind, certificate, { place: { file, line } });
    }
  }
  return [...found.values()].sort((a, b) => Date.parse(a.until) - Date.parse(b.until)).slice(0, MOST);
}

function viewOf(certificate: X509Certificate, now: number): Pick<CertificateView, 'names' | 'since' | 'until' | 'state'> {
  const [since, until] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const names = (certificate.subjectAltName ?? certificate.subject ?? '').split(/, |\n/).filter(Boolean);
  const state = now >= until ? 'expired' : now < since ? 'not yet' : until - now < (until - since) * LAST_PART ? 'soon' : 'valid';
  return { names, since: new Date(since).toISOString(), until: new Date(until).toISOString(), state };
}
