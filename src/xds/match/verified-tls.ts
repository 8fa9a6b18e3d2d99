/** Whether what answers behind a cluster has shown that it is a host, before anything is sent to it. Pure. */
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { InternalUpstreamTransportSchema } from '../gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { CertificateValidationContext_TrustChainVerification } from '../gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { UpstreamTlsContextSchema } from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { typeNameOf, unpack } from '../unpack.ts';

const known = new WeakMap<Cluster, readonly string[]>();

/** By TLS with a certificate of a trusted CA in which this very name has to stand. */
export function verifiesServer(cluster: Cluster, host: string): boolean {
  let names = known.get(cluster);
  if (!names) {
    names = verifiedNames(cluster);
    known.set(cluster, names);
  }
  return names.length > 0 && names.every((name) => name === host);
}

/** Of which the certificate has to have one; empty where nothing is verified, or names are not stated one by one. */
function verifiedNames({ transportSocket, transportSocketMatches, name }: Cluster): string[] {
  const where = `cluster "${name}": transport_socket`;
  const outer = transportSocket?.configType.value;
  // Within a tunnel: whoever carries it sees nothing of what is in it.
  const any =
    typeNameOf(outer) === InternalUpstreamTransportSchema.typeName
      ? unpack(outer, InternalUpstreamTransportSchema, where).transportSocket?.configType.value
      : outer;
  if (transportSocketMatches.length > 0 || typeNameOf(any) !== UpstreamTlsContextSchema.typeName) return [];
  const type = unpack(any, UpstreamTlsContextSchema, where).commonTlsContext?.validationContextType;
  const [own, secret] =
    type?.case === 'combinedValidationContext'
      ? [type.value.defaultValidationContext, type.value.validationContextSdsSecretConfig]
      : [type?.case === 'validationContext' ? type.value : undefined, undefined];
  if (!own || own.trustChainVerification === CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED) return [];
  if (!secret && !own.trustedCa && !own.systemRootCerts) return [];
  const matchers = [...own.matchSubjectAltNames, ...own.matchTypedSubjectAltNames.flatMap(({ matcher }) => matcher ?? [])];
  const exact = matchers.flatMap(({ matchPattern, ignoreCase }) =>
    matchPattern.case === 'exact' && !ignoreCase ? [matchPattern.value] : [],
  );
  return exact.length === matchers.length ? exact : [];
}
