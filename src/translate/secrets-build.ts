/** Secrets as SDS has them, of one Secret, ConfigMap or file each. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { nodeCrypto } from '../lib/node-crypto.ts';
import type { Redacted } from '../lib/redacted.ts';
import type { DataSource } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialCaSecretName, credentialSecretName } from './names.ts';

/** With both, the secret stands for one that can't be had. */
export type BuiltSecret = { readonly secret: Secret; readonly problem?: string } | { readonly problem: string };

/** Where a credential is. */
export interface CredentialPlace {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
}

const CERTIFICATES = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** Certificate chain and key from a Secret's `tls.crt`/`tls.key` (type kubernetes.io/tls) or `cert`/`key`. */
export function credentialCertificate(credentialName: string, { namespace, name }: CredentialPlace, snapshot: Snapshot): BuiltSecret {
  const found = snapshot.get('Secret', namespace, name);
  if (!found) return { problem: missing(`Secret ${namespace}/${name}`) };
  return kept.get([found, 'certificate', credentialName], NO_INPUTS, () => certificateOf(found, credentialName));
}

/** By the object that the secret is made of: to check a key costs much, and the resource that stays is not encoded again. */
const kept = new Memo<BuiltSecret>();

function certificateOf({ metadata: { namespace, name }, spec: { data } }: ResourceOf<'Secret'>, credentialName: string): BuiltSecret {
  const where = `Secret ${namespace}/${name}`;
  const [chain, key] = data['tls.crt'] || data['tls.key'] ? [data['tls.crt'], data['tls.key']] : [data.cert, data.key];
  if (!chain || !key)
    return { problem: `${where} lacks tls.crt and tls.key (or cert and key): connections that need it are refused. Add both.` };
  const wrong = pairProblem(chain.revealText(), key.revealText());
  if (wrong) return { problem: `${where} ${wrong}: connections that need it are refused. Replace it.` };
  const secret = create(SecretSchema, {
    name: credentialSecretName(credentialName),
    type: { case: 'tlsCertificate', value: { certificateChain: inline(chain), privateKey: inline(key) } },
  });
  return { secret };
}

/** CA certificates: `ca.crt` or `cacert` of the Secret `NAME-cacert`, else of `NAME`; `ca.crl` or `crl` beside it are its revocations. */
export function credentialCa(credentialName: string, place: CredentialPlace, snapshot: Snapshot): BuiltSecret {
  const { kind, namespace, name } = place;
  if (kind === 'ConfigMap') return configMapCa(credentialName, place, snapshot);
  const found = snapshot.get('Secret', namespace, `${name}-cacert`) ?? snapshot.get('Secret', namespace, name);
  if (!found) return { problem: missing(`Secret ${namespace}/${name}`) };
  return kept.get([found, 'CA', credentialName], NO_INPUTS, () => authorityOf(found, credentialName));
}

function authorityOf({ metadata: { namespace, name }, spec: { data } }: ResourceOf<'Secret'>, credentialName: string): BuiltSecret {
  const where = `Secret ${namespace}/${name}`;
  const ca = data['ca.crt'] ?? data.cacert;
  if (!ca) return { problem: `${where} lacks ca.crt (or cacert): connections that it is to verify are refused. Add the CA's certificate.` };
  if (!areCertificates(ca.revealText())) {
    return { problem: `${where} holds a CA that is no PEM certificate: connections that it is to verify are refused. Replace it.` };
  }
  const crl = data['ca.crl'] ?? data.crl;
  const secret = create(SecretSchema, {
    name: credentialCaSecretName(credentialName),
    type: { case: 'validationContext', value: { trustedCa: inline(ca), ...(crl ? { crl: inline(crl) } : {}) } },
  });
  return { secret };
}

/** The Kubernetes Gateway API keeps CAs in `ca.crt` of ConfigMaps. */
function configMapCa(credentialName: string, { namespace, name }: CredentialPlace, snapshot: Snapshot): BuiltSecret {
  const found = snapshot.get('ConfigMap', namespace, name);
  if (!found) return { problem: `ConfigMap ${namespace}/${name} does not exist: connections that need it are refused. Create it.` };
  return kept.get([found, 'CA', credentialName], NO_INPUTS, () => authorityOfMap(found, credentialName));
}

function authorityOfMap({ metadata: { namespace, name }, spec: { data } }: ResourceOf<'ConfigMap'>, credentialName: string): BuiltSecret {
  const where = `ConfigMap ${namespace}/${name}`;
  const ca = data['ca.crt'];
  if (!ca || !areCertificates(ca))
    return {
      problem: `${where} has no PEM certificates in ca.crt: connections that it is to verify are refused. Add the CA's certificate.`,
    };
  const trustedCa: DataSourceInit = { specifier: { case: 'inlineString', value: ca } };
  const secret = create(SecretSchema, {
    name: credentialCaSecretName(credentialName),
    type: { case: 'validationContext', value: { trustedCa } },
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

/** The same for certificate and CA, so that a Secret which is to give both is reported once. */
function missing(where: string): string {
  return `${where} does not exist: connections that need it are refused. Create it in the namespace of the proxy.`;
}

/** What is wrong with a certificate and its key; undefined if they serve. */
function pairProblem(chain: string, key: string): string | undefined {
  const first = chain.match(CERTIFICATES)?.[0];
  if (!first || !areCertificates(chain)) return 'holds no PEM certificate';
  try {
    const { createPrivateKey, X509Certificate } = nodeCrypto();
    return new X509Certificate(first).checkPrivateKey(createPrivateKey(key))
      ? undefined
      : 'holds a key that does not belong to its certificate';
  } catch {
    return 'holds no PEM private key';
  }
}

function areCertificates(text: string): boolean {
  const found = text.match(CERTIFICATES) ?? [];
  try {
    const { X509Certificate } = nodeCrypto();
    for (const each of found) new X509Certificate(each);
  } catch {
    return false;
  }
  return found.length > 0;
}

type DataSourceInit = Pick<DataSource, 'specifier'>;

function inline(value: Redacted): DataSourceInit {
  return { specifier: { case: 'inlineBytes', value: value.reveal() } };
}

function file(path: string): DataSourceInit {
  return { specifier: { case: 'filename', value: path } };
}
