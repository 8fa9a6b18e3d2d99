/** References to secrets (SDS): translation only names them, so that a secret that is replaced changes nothing but itself. */
import { create } from '@bufbuild/protobuf';
import type { Resource } from '../api/resource.ts';
import { ApiVersion, type ConfigSource, ConfigSourceSchema } from '../xds/gen/envoy/config/core/v3/config_source_pb.js';
import { type SdsSecretConfig, SdsSecretConfigSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialValueSecret } from '../xds/injected-secrets.ts';
import { ROOT_SECRET, WORKLOAD_SECRET } from '../xds/names.ts';
import { credentialCaSecretName, credentialSecretName, fileCertSecretName, fileRootSecretName, SYSTEM_ROOT_SECRET } from './names.ts';

/** Where the system's CAs stand on Debian, Alpine and in Istio's images. */
const SYSTEM_CA_FILE = '/etc/ssl/certs/ca-certificates.crt';

/** A secret that a resource refers to, by its name in SDS, and what it is. */
export type SecretRequest = { readonly name: string } & (
  | {
      /** Certificate and key, or the CA. */
      readonly kind: 'credential' | 'credential-ca';
      readonly credentialName: string;
      /** The object that asks for it. */
      readonly origin: Resource;
    }
  /** The value of a credential that is put into requests: `NAMESPACE/NAME/KEY` of a Secret. */
  | { readonly kind: 'credential-value'; readonly value: string; readonly origin: Resource }
  | { readonly kind: 'file-certificate'; readonly certificatePath: string; readonly keyPath: string }
  | { readonly kind: 'file-ca'; readonly path: string }
  /** The workload's own certificate, or the roots of the mesh: the mesh's CA gives both. */
  | { readonly kind: 'identity' }
);

export interface SecretReferences {
  /**
   * Certificate and key of the Secret `credentialName` in the proxy's namespace. If it is missing or bad, the reference stands, the resource
   * does not, and the connections that need it are refused. `origin` is the object that asks for it.
   */
  credential(credentialName: string, origin: Resource): SdsSecretConfig;
  /** The CA of `credentialName`: the Secret `NAME-cacert` if there is one, else `ca.crt` or `cacert` of the Secret itself. */
  credentialCa(credentialName: string, origin: Resource): SdsSecretConfig;
  /** Its name in SDS. What is missing comes as an empty value, so that nothing but the calls that need it waits for it. */
  credentialValue(value: string, origin: Resource): string;
  /** Files that the data plane reads. */
  fileCertificate(certificatePath: string, keyPath: string): SdsSecretConfig;
  /** A file with CA certificates, and maybe one with revocations. */
  fileCa(path: string): SdsSecretConfig;
  /** The certificate that says who the workload is. */
  workloadCertificate(): SdsSecretConfig;
  /** What identities of the mesh are verified by. */
  meshRoots(): SdsSecretConfig;
  /** The CAs that the operating system trusts. */
  systemCa(): SdsSecretConfig;
  ask(request: SecretRequest): void;
}

/** @param ask takes each reference that is handed out */
export function secretReferences(ask: (request: SecretRequest) => void): SecretReferences {
  const reference = (request: SecretRequest): SdsSecretConfig => {
    ask(request);
    return create(SdsSecretConfigSchema, { name: request.name, sdsConfig: adsSource() });
  };
  return {
    credential: (credentialName, origin) =>
      reference({ name: credentialSecretName(credentialName), kind: 'credential', credentialName, origin }),
    credentialCa: (credentialName, origin) =>
      reference({ name: credentialCaSecretName(credentialName), kind: 'credential-ca', credentialName, origin }),
    credentialValue: (value, origin) => reference({ name: credentialValueSecret(value), kind: 'credential-value', value, origin }).name,
    fileCertificate: (certificatePath, keyPath) =>
      reference({ name: fileCertSecretName(certificatePath, keyPath), kind: 'file-certificate', certificatePath, keyPath }),
    fileCa: (path) => reference({ name: fileRootSecretName(path), kind: 'file-ca', path }),
    systemCa: () => reference({ name: SYSTEM_ROOT_SECRET, kind: 'file-ca', path: SYSTEM_CA_FILE }),
    workloadCertificate: () => reference({ name: WORKLOAD_SECRET, kind: 'identity' }),
    meshRoots: () => reference({ name: ROOT_SECRET, kind: 'identity' }),
    ask,
  };
}

/** Every dynamic resource comes over the one stream (or what stands for it). */
export function adsSource(): ConfigSource {
  return create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} }, resourceApiVersion: ApiVersion.V3 });
}
