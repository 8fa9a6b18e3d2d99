/** The secrets that a proxy's resources refer to, from the snapshot: a step of its own after translation. */
import { originOf, type Resource } from '../api/resource.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialValue, shownCertificate } from './credential-value.ts';
import type { SecretRequest } from './secrets.ts';
import { type BuiltSecret, type CredentialPlace, credentialCa, credentialCertificate, fileCertificate, fileRoot } from './secrets-build.ts';

/** Those that can be built, by name. `requests` have each name once; who asks for one is told what is wrong with it. */
export function secretResources(
  requests: Iterable<SecretRequest>,
  namespace: string,
  snapshot: Snapshot,
  report: (finding: Finding) => void,
): readonly Secret[] {
  const secrets: Secret[] = [];
  for (const request of requests) {
    if (request.kind === 'identity') continue;
    const result = secretOf(request, namespace, snapshot);
    if ('secret' in result) secrets.push(result.secret);
    if (result.problem !== undefined && 'origin' in request) report(unusable(request.origin, result.problem));
  }
  return secrets.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function secretOf(request: Exclude<SecretRequest, { kind: 'identity' }>, namespace: string, snapshot: Snapshot): BuiltSecret {
  switch (request.kind) {
    case 'credential': {
      const { credentialName, origin } = request;
      const place = credentialPlace(credentialName, namespace, origin);
      const isShown = origin.derivedFrom?.kind === 'EgressPolicy';
      return (isShown ? shownCertificate : credentialCertificate)(credentialName, place, snapshot);
    }
    case 'credential-ca':
      return credentialCa(request.credentialName, credentialPlace(request.credentialName, namespace, request.origin), snapshot);
    case 'credential-value':
      return credentialValue(request.value, snapshot);
    case 'file-certificate':
      return files.get([request], NO_INPUTS, () => ({
        secret: fileCertificate(request.name, request.certificatePath, request.keyPath),
      }));
    case 'file-ca':
      return files.get([request], NO_INPUTS, () => ({ secret: fileRoot(request.name, request.path) }));
  }
}

const files = new Memo<BuiltSecret>();

function unusable(origin: Resource, message: string): Finding {
  return { code: 'IST0101', level: 'Error', message, origin: originOf(origin), position: origin.source.position() };
}

/**
 * A Secret in the proxy's namespace. What was derived from the Kubernetes Gateway API, which has said there already who may refer to it, or from an EgressPolicy, names
 * `kubernetes-gateway://NAMESPACE/NAME` or `configmap://NAMESPACE/NAME`; nobody else may.
 */
function credentialPlace(name: string, namespace: string, { derivedFrom }: Resource): CredentialPlace {
  const parts = derivedFrom && /^(kubernetes-gateway|configmap):\/\/([^/]+)\/([^/]+)$/.exec(name);
  if (!parts) return { kind: 'Secret', namespace, name };
  return { kind: parts[1] === 'configmap' ? 'ConfigMap' : 'Secret', namespace: parts[2]!, name: parts[3]! };
}
