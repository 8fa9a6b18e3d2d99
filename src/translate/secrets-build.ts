import { create } from '@bufbuild/protobuf';
import type { Snapshot } from '../config/snapshot.ts';
import type { Redacted } from '../lib/redacted.ts';
import type { DataSource } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialCaSecretName, credentialSecretName } from './names.ts';

export type BuiltSecret = { readonly secret: Secret } | { readonly problem: string };

type Data = Readonly<Record<string, Redacted>>;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----[\s\S]+?-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/** Certificate chain and key from a Secret's `tls.crt`/`tls.key` (type kubernetes.io/tls) or `cert`/`key`. */
export function credentialCertificate(credentialName: string, namespace: string, snapshot: Snapshot): BuiltSecret {
  const where = `Secret ${namespace}/${credentialName}`;
  const found = snapshot.get('Secret', namespace, credentialName);
  if (!found)
    return { problem: `${where} does not exist: connections that need its certificate are refused. Create it in the proxy's namespace.` };
  const { data } = found.spec;
  const [chain, key] = data['tls.crt'] || data['tls.key'] ? [data['tls.crt'], data['tls.key']] : [data.cert, data.key];
  if (!isPem(chain, CERTIFICATE) || !isPem(key, PRIVATE_KEY)) {
    const problem = `${where} must hold a PEM certificate and private key as tls.crt and tls.key (or cert and key): connections that need them are refused.`;
    return { problem };
  }
  const secret = create(SecretSchema, {
    name: credentialSecretName(credentialName),
    type: { case: 'tlsCertificate', value: { certificateChain: inline(chain), privateKey: inline(key) } },
  });
  return { secret };
}

/** CA certificates: `ca.crt` or `cacert` of the Secret `NAME-cacert`, else of `NAME`; `ca.crl` or `crl` beside it are its revocations. */
export function credentialCa(credentialName: string, namespace: string, snapshot: Snapshot): BuiltSecret {
  const separate = snapshot.get('Secret', namespace, `${credentialName}-cacert`);
  const found = separate ?? snapshot.get('Secret', namespace, credentialName);
  const where = `Secret ${namespace}/${found?.metadata.name ?? credentialName}`;
  if (!found)
    return { problem: `${where} does not exist: connections that its CA is to verify are refused. Create it in the proxy's namespace.` };
  const data: Data = found.spec.data;
  const ca = data['ca.crt'] ?? data.cacert;
  if (!isPem(ca, CERTIFICATE))
    return { problem: `${where} must hold PEM CA certificates as ca.crt or cacert: connections that they are to verify are refused.` };
  const crl = data['ca.crl'] ?? data.crl;
  const secret = create(SecretSchema, {
    name: credentialCaSecretName(credentialName),
    type: { case: 'validationContext', value: { trustedCa: inline(ca), ...(crl ? { crl: inline(crl) } : {}) } },
  });
  return { secret };
}

export function fileCertificate(name: string, certificatePath: string, keyPath: string): Secret {
  return create(SecretSchema, {
    name,
    type: { case: 'tlsCertificate', value: { certificateChain: file(certificatePath), privateKey: file(keyPath) } },
  });
}

export function fileRoot(name: string, path: string): Secret {
  return create(SecretSchema, { name, type: { case: 'validationContext', value: { trustedCa: file(path) } } });
}

function isPem(value: Redacted | undefined, form: RegExp): value is Redacted {
  return value !== undefined && form.test(value.revealText());
}

type DataSourceInit = Pick<DataSource, 'specifier'>;

function inline(value: Redacted): DataSourceInit {
  return { specifier: { case: 'inlineBytes', value: value.reveal() } };
}

function file(path: string): DataSourceInit {
  return { specifier: { case: 'filename', value: path } };
}
