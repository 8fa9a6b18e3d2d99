/** The Secrets and ConfigMaps that resources refer to: no others are asked for. */
import { isMapping } from '../../api/decode.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { Snapshot } from '../snapshot.ts';

export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
}

/** Of what was derived from the Kubernetes Gateway API: where the Secret or ConfigMap is. */
const PLACED = /^(kubernetes-gateway|configmap):\/\/([^/]+)\/([^/]+)$/;

/**
 * A Gateway's Secrets are in the namespaces of its proxies; a DestinationRule's in those of all gateways, or its own where it selects workloads. The CA
 * may stand in a Secret of its own, `NAME-cacert`. What an EgressPolicy has of Secrets stands in those of its namespace. Parameters of Gateways, and of their classes, are ConfigMaps.
 * @param gatewayController who deploys the Gateways of its classes; undefined: nobody asks for parameters
 */
export function referencesIn(snapshot: Snapshot, gatewayController?: string): Reference[] {
  const found = new Map<string, Reference>();
  const add = (reference: Reference) => found.set(`${reference.kind} ${reference.namespace}/${reference.name}`, reference);
  const addNames = (names: Iterable<string>, namespaces: Iterable<string>) => {
    const places = [...namespaces];
    for (const named of names) {
      const [, scheme, owner, name] = PLACED.exec(named) ?? [];
      if (scheme) add({ kind: scheme === 'configmap' ? 'ConfigMap' : 'Secret', namespace: owner!, name: name! });
      else for (const namespace of places) for (const each of [named, `${named}-cacert`]) add({ kind: 'Secret', namespace, name: each });
    }
  };
  const addParameters = (ref: { readonly group: string; readonly kind: string; readonly name: string } | undefined, namespace?: string) => {
    if (ref?.group === '' && ref.kind === 'ConfigMap' && namespace) add({ kind: 'ConfigMap', namespace, name: ref.name });
  };
  const classes = new Set<string>();
  for (const { spec, metadata } of snapshot.list('GatewayClass')) {
    if (spec.controllerName !== gatewayController) continue;
    classes.add(metadata.name);
    addParameters(spec.parametersRef, spec.parametersRef?.namespace);
  }
  for (const { spec, metadata } of snapshot.list('KubernetesGateway'))
    if (classes.has(spec.gatewayClassName)) addParameters(spec.infrastructure?.parametersRef, metadata.namespace);
  const routers = new Set<string>();
  for (const { spec } of snapshot.list('Gateway')) {
    const homes = proxyNamespaces(snapshot, spec.selector);
    for (const each of homes) routers.add(each);
    addNames(credentialNames(spec), homes);
  }
  for (const { spec, metadata } of snapshot.list('DestinationRule')) {
    const names = credentialNames(spec);
    if (names.size > 0) addNames(names, spec.workloadSelector ? [...routers, metadata.namespace] : routers);
  }
  for (const { spec, metadata } of snapshot.list('EgressPolicy')) {
    const { clientCertificate } = spec.tls ?? {};
    if (clientCertificate) add({ kind: 'Secret', namespace: metadata.namespace, name: clientCertificate.secret.name });
    for (const { credentials } of spec.to)
      for (const { from } of credentials) add({ kind: 'Secret', namespace: metadata.namespace, name: from.secret.name });
  }
  return [...found.values()];
}

function proxyNamespaces(snapshot: Snapshot, selector: Readonly<Record<string, string>>): Set<string> {
  if (Object.keys(selector).length === 0) return new Set();
  const pods = snapshot.list('Pod').filter(({ metadata }) => matchesLabels(selector, metadata.labels));
  const deployments = snapshot.list('Deployment').filter(({ spec }) => matchesLabels(selector, spec.template.metadata?.labels ?? {}));
  return new Set([...pods, ...deployments].map(({ metadata }) => metadata.namespace));
}

const NAMED: ReadonlySet<string> = new Set(['credentialName', 'caCertCredentialName']);

/** What stands under these and `credentialNames`, however deep. */
function credentialNames(value: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const each of value) credentialNames(each, found);
  else if (isMapping(value)) {
    for (const key in value) {
      const inner = value[key];
      if (NAMED.has(key) && typeof inner === 'string' && inner !== '') found.add(inner);
      else if (key === 'credentialNames' && Array.isArray(inner)) for (const each of inner) found.add(String(each));
      else if (typeof inner === 'object' && inner !== null) credentialNames(inner, found);
    }
  }
  return found;
}
