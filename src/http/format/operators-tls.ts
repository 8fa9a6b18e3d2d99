/** Command operators about certificates and TLS of either side. */

import { table } from '../../lib/table.ts';
import type { OperatorFactory } from './operator.ts';
import type { FormatCertificate, FormatRecord, FormatTls } from './record.ts';
import { compileTimeFormat, isoTime } from './time.ts';

type Read = (record: FormatRecord) => FormatTls | undefined;
type Certificate = (record: FormatRecord) => FormatCertificate | undefined;

const operator =
  (read: (record: FormatRecord) => string | undefined): OperatorFactory =>
  () =>
  (record) =>
    read(record) || undefined;

const time =
  (read: (record: FormatRecord) => number | undefined): OperatorFactory =>
  (args) => {
    const format = args ? compileTimeFormat(args) : isoTime();
    return (record) => {
      const value = read(record);
      return value === undefined ? undefined : format(value);
    };
  };

function certificateOperators(prefix: string, read: Certificate): Record<string, OperatorFactory> {
  return {
    [`${prefix}_URI_SAN`]: operator((record) => read(record)?.uriSans.join(',')),
    [`${prefix}_DNS_SAN`]: operator((record) => read(record)?.dnsSans.join(',')),
    [`${prefix}_SUBJECT`]: operator((record) => read(record)?.subject),
    [`${prefix}_ISSUER`]: operator((record) => read(record)?.issuer),
    [`${prefix}_SERIAL`]: operator((record) => read(record)?.serial),
    [`${prefix}_FINGERPRINT_256`]: operator((record) => read(record)?.sha256),
    [`${prefix}_CERT`]: operator((record) => read(record)?.pem),
    [`${prefix}_CERT_V_START`]: time((record) => read(record)?.validFrom),
    [`${prefix}_CERT_V_END`]: time((record) => read(record)?.validTo),
  };
}

function side(prefix: string, read: Read): Record<string, OperatorFactory> {
  return {
    ...certificateOperators(`${prefix}_PEER`, (record) => read(record)?.peer),
    ...certificateOperators(`${prefix}_LOCAL`, (record) => read(record)?.local),
    [`${prefix}_TLS_SESSION_ID`]: operator((record) => read(record)?.sessionId),
    [`${prefix}_TLS_CIPHER`]: operator((record) => read(record)?.cipher),
    [`${prefix}_TLS_VERSION`]: operator((record) => read(record)?.version),
  };
}

export const TLS_OPERATORS: Readonly<Record<string, OperatorFactory>> = table({
  ...side('DOWNSTREAM', (record) => record.downstream.tls),
  ...side('UPSTREAM', (record) => record.upstreamTls),
});
