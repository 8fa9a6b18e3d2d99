/** The table of secrets: the certificates that a dump shows, and whether they are valid. */
import { X509Certificate } from 'node:crypto';
import type { Json } from './dump.ts';
import { entries, type Filters, type Table } from './table.ts';

export function secrets(dump: Json, { name }: Filters, now: number): Table {
  const list = (key: string, status: string) => entries(dump, key).map((entry) => ({ entry, status }));
  const chosen = [
    ...list('static_secrets', 'ACTIVE'),
    ...list('dynamic_active_secrets', 'ACTIVE'),
    ...list('dynamic_warming_secrets', 'WARMING'),
  ].filter(({ entry }) => !name || entry.name === name);
  return {
    columns: ['RESOURCE NAME', 'TYPE', 'STATUS', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'],
    rows: chosen.map(({ entry, status }) => [entry.name ?? entry.secret?.name ?? '', ...secretCells(entry.secret, status, now)]),
    resources: chosen.map(({ entry }) => entry.secret ?? entry),
    empty: 'No active or warming secrets found.',
  };
}

function secretCells(secret: Json, status: string, now: number): string[] {
  const chain = secret?.tls_certificate?.certificate_chain;
  const ca = secret?.validation_context?.trusted_ca;
  const type = chain ? 'Cert Chain' : ca ? 'CA' : '';
  const certificate = certificateIn(chain ?? ca);
  if (!certificate) return [type, status, 'false', '', '', ''];
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const time = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z');
  return [type, status, String(from <= now && now <= to), certificate.serialNumber.toLowerCase(), time(to), time(from)];
}

/** The first certificate of a data source, as a dump shows it; undefined where there is none that can be read. */
export function certificateIn(source: Json): X509Certificate | undefined {
  const pem = source?.inline_bytes ? Buffer.from(source.inline_bytes, 'base64').toString() : source?.inline_string;
  try {
    return pem ? new X509Certificate(pem) : undefined;
  } catch {
    return undefined;
  }
}
