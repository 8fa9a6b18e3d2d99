/** Secrets of one proxy: references to them (SDS) and the resources that the references resolve to. */
import { create } from '@bufbuild/protobuf';
import { originOf, type Resource } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { ApiVersion, type ConfigSource, ConfigSourceSchema } from '../xds/gen/envoy/config/core/v3/config_source_pb.js';
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
  type Secret,
} from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { Mesh } from './model.ts';
import { credentialCaSecretName, credentialSecretName, fileCertSecretName, fileRootSecretName, SYSTEM_ROOT_SECRET } from './names.ts';
import { type CredentialPlace, credentialCa, credentialCertificate, fileCertificate, fileRoot } from './secrets-build.ts';

/** Where the system's CAs stand on Debian, Alpine and in Istio's images. */
const SYSTEM_CA_FILE = '/etc/ssl/certs/ca-certificates.crt';

export interface SecretCollector {
  /**
   * Certificate and key of the Secret `credentialName` in the proxy's namespace. If it is missing or bad, the reference stands, the resource
   * does not, and the connections that need it are refused. `origin` is the object that asks for it.
   */
  credential(credentialName: string, origin: Resource): SdsSecretConfig;
  /** The CA of `credentialName`: the Secret `NAME-cacert` if there is one, else `ca.crt` or `cacert` of the Secret itself. */
  credentialCa(credentialName: string, origin: Resource): SdsSecretConfig;
  /** Files that the data plane reads. */
  fileCertificate(certificatePath: string, keyPath: string): SdsSecretConfig;
  /** A file with CA certificates, and maybe one with revocations. */
  fileCa(path: string): SdsSecretConfig;
  /** The CAs that the operating system trusts. */
  systemCa(): SdsSecretConfig;
  /** What was asked for and could be built, by name. */
  collected(): readonly Secret[];
  /** Whether a resource of this name was asked for and could be built. */
  has(name: string): boolean;
}

export function createSecretCollector(proxy: ProxyIdentity, mesh: Mesh, report: (finding: Finding) => void): SecretCollector {
  const secrets = new Map<string, Secret | undefined>();
  const reference = (name: string, build: () => Secret | undefined): SdsSecretConfig => {
    if (!secrets.has(name)) secrets.set(name, build());
    return create(SdsSecretConfigSchema, { name, sdsConfig: adsSource() });
  };
  const fromCredential = (name: string, origin: Resource, build: typeof credentialCertificate) => () => {
    const result = build(name, credentialPlace(name, proxy.namespace, origin), mesh.snapshot);
    if ('secret' in result) return result.secret;
    const finding = {
      code: 'IST0101',
      level: 'Error',
      message: result.problem,
      origin: originOf(origin),
      position: origin.source.position(),
    } as const;
    report(finding);
    return undefined;
  };
  return {
    credential: (name, origin) => reference(credentialSecretName(name), fromCredential(name, origin, credentialCertificate)),
    credentialCa: (name, origin) => reference(credentialCaSecretName(name), fromCredential(name, origin, credentialCa)),
    fileCertificate: (certificate, key) => {
      const name = fileCertSecretName(certificate, key);
      return reference(name, () => fileCertificate(name, certificate, key));
    },
    fileCa: (path) => reference(fileRootSecretName(path), () => fileRoot(fileRootSecretName(path), path)),
    systemCa: () => reference(SYSTEM_ROOT_SECRET, () => fileRoot(SYSTEM_ROOT_SECRET, SYSTEM_CA_FILE)),
    has: (name) => secrets.get(name) !== undefined,
    collected: () => [...secrets.values()].filter((secret) => secret !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/**
 * A Secret in the proxy's namespace. What was derived from the Kubernetes Gateway API, which has said there already who may refer to it, names
 * `kubernetes-gateway://NAMESPACE/NAME` or `configmap://NAMESPACE/NAME`; nobody else may.
 */
function credentialPlace(name: string, namespace: string, { derivedFrom }: Resource): CredentialPlace {
  const parts = derivedFrom && /^(kubernetes-gateway|configmap):\/\/([^/]+)\/([^/]+)$/.exec(name);
  if (!parts) return { kind: 'Secret', namespace, name };
  return { kind: parts[1] === 'configmap' ? 'ConfigMap' : 'Secret', namespace: parts[2]!, name: parts[3]! };
}

/** Every dynamic resource comes over the one stream (or what stands for it). */
export function adsSource(): ConfigSource {
  return create(ConfigSourceSchema, { configSourceSpecifier: { case: 'ads', value: {} }, resourceApiVersion: ApiVersion.V3 });
}
