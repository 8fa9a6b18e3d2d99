import type { Pod, ResourceOf } from '../../api/index.ts';
import { isSystemNamespace, PROXY_CONTAINER } from '../../api/injection.ts';
import type { PathStep, Resource } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { kubernetesProtocol } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';
import { isDefaultGateway } from '../default-gateways.ts';
import { isInMesh } from '../injection-state.ts';

/** The proxy's own user id: its traffic is not captured, else it would go round in circles. */
const PROXY_UID = 1337;
/** Part of an installation of Istio, not of what it serves. */
function isControlPlane({ metadata: { labels } }: Resource): boolean {
  return labels.istio !== undefined || labels.release === 'istio' || labels.app === 'istiod';
}

/** IST0116, IST0137: Services over one Deployment that disagree about a port. */
export function deploymentServices(context: Context): void {
  const byNamespace = new Map<string, ResourceOf<'Service'>[]>();
  for (const service of context.of('Service')) {
    const list = byNamespace.get(service.metadata.namespace);
    if (list) list.push(service);
    else byNamespace.set(service.metadata.namespace, [service]);
  }
  for (const deployment of context.of('Deployment')) {
    const { template } = deployment.spec;
    const { namespace, name, labels } = deployment.metadata;
    if (labels['gateway.istio.io/managed'] !== undefined || !template.spec) continue;
    const podLabels = template.metadata?.labels ?? {};
    if (!isInMesh(context, namespace, template.spec, podLabels, template.metadata?.annotations ?? {})) continue;
    const services = (byNamespace.get(namespace) ?? []).filter(({ spec }) => {
      const selector = spec.selector ?? {};
      return Object.keys(selector).length > 0 && matchesLabels(selector, podLabels);
    });
    if (services.length < 2) continue;
    const protocols = grouped(services, (port) => [port.port, port.protocol]);
    for (const [port, users] of protocols) {
      if (users.size < 2) continue;
      context.report(
        'IST0116',
        deployment,
        ['metadata', 'name'],
        `Services ${namesOf(users)} over Deployment ${name} give port ${port} different protocols (${[...users.keys()].sort().join(', ')}), and a sidecar can take only one. Give them one protocol or different ports.`,
      );
    }
    const targets = grouped(services, (port) => [port.targetPort ?? port.port, port.port]);
    for (const [target, users] of targets) {
      if (users.size < 2) continue;
      context.report(
        'IST0137',
        deployment,
        ['metadata', 'name'],
        `Services ${namesOf(users)} over Deployment ${name} map its port ${target} to different ports (${[...users.keys()].sort().join(', ')}): the sidecar has one inbound listener for it, and the settings of one Service hold for all. Use one port for it.`,
      );
    }
  }
}

type ServicePort = ResourceOf<'Service'>['spec']['ports'][number];

/** Names of Services by what `pick` says of their ports: first and second key. */
function grouped<A, B>(services: readonly ResourceOf<'Service'>[], pick: (port: ServicePort) => [A, B]): Map<A, Map<B, Set<string>>> {
  const groups = new Map<A, Map<B, Set<string>>>();
  for (const { metadata, spec } of services) {
    for (const port of spec.ports) {
      const [first, second] = pick(port);
      const inner = groups.get(first) ?? new Map<B, Set<string>>();
      groups.set(first, inner);
      inner.set(second, (inner.get(second) ?? new Set<string>()).add(metadata.name));
    }
  }
  return groups;
}

function namesOf(users: ReadonlyMap<unknown, ReadonlySet<string>>): string {
  return [...new Set([...users.values()].flatMap((names) => [...names]))].sort().join(', ');
}

/** IST0118, IST0150: ports of Services whose name tells no protocol. */
export function portNames(context: Context): void {
  for (const service of context.of('Service')) {
    if (isSystemNamespace(service.metadata.namespace) || isControlPlane(service) || isDefaultGateway(service)) continue;
    // Skips Services that the controller makes for Gateways: users did not write them.
    if (service.derivedFrom || service.metadata.labels['gateway.istio.io/managed'] !== undefined) continue;
    const external = service.spec.type === 'ExternalName';
    for (const [i, port] of service.spec.ports.entries()) {
      const unknown = kubernetesProtocol(port) === 'Unsupported';
      const path = ['spec', 'ports', i];
      if (external && (unknown || port.name === 'tcp')) {
        context.report(
          'IST0150',
          service,
          path,
          `Port ${port.port} of this ExternalName Service is ${port.name ? `named ${port.name}` : 'unnamed'}. Istio takes such a Service for another name of its target, whose ports count; where that is switched off (ENABLE_EXTERNAL_NAME_ALIAS: "false"), and before 1.21, the port is TCP to every address, and other calls to port ${port.port} are led astray. Name it by its protocol, e.g. http or https.`,
        );
      } else if (unknown) {
        context.report(
          'IST0118',
          service,
          path,
          `The name of port ${port.port} (${port.name || 'none'}) does not say its protocol, so proxies guess it from the first bytes, and HTTP rules may not hold. Name it <protocol>[-<suffix>], e.g. http-${port.name || 'web'}, or set appProtocol.`,
        );
      }
    }
  }
}

/** IST0144: applications that run as the proxy's user. */
export function applicationUids(context: Context): void {
  for (const pod of context.of('Pod')) if (!isControlPlane(pod)) checkUid(context, pod, pod.spec, ['spec']);
  for (const deployment of context.of('Deployment')) {
    const { template } = deployment.spec;
    if (template.spec && !isControlPlane(deployment)) checkUid(context, deployment, template.spec, ['spec', 'template', 'spec']);
  }
}

function checkUid(context: Context, resource: Resource, pod: Pod, path: readonly PathStep[]): void {
  const say = (at: readonly PathStep[], who: string) =>
    context.report(
      'IST0144',
      resource,
      [...path, ...at, 'securityContext', 'runAsUser'],
      `${who} runs as user ${PROXY_UID}, which is the proxy's: its calls are taken for the proxy's own and leave past every route and policy. Use another user id.`,
    );
  if (pod.securityContext?.runAsUser === PROXY_UID) say([], 'The pod');
  for (const [i, { name, securityContext }] of pod.containers.entries()) {
    if (name !== PROXY_CONTAINER && securityContext?.runAsUser === PROXY_UID) say(['containers', i], `Container ${name}`);
  }
}

/** IST0175: key URLs of RequestAuthentications, which a control plane fetches without a bound on where they lead. */
export function keyFetching(context: Context): void {
  const fetching = context.of('RequestAuthentication').filter(({ spec }) => spec.jwtRules.some((rule) => rule.jwksUri && !rule.jwks));
  if (fetching.length === 0) return;
  const names = fetching.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ');
  for (const deployment of context.of('Deployment')) {
    if (deployment.metadata.labels.app !== 'istiod') continue;
    const containers = deployment.spec.template.spec?.containers ?? [];
    if (containers.some(({ env }) => env.some(({ name, value }) => name === 'BLOCKED_CIDRS_IN_JWKS_URIS' && value))) continue;
    context.report(
      'IST0175',
      deployment,
      ['metadata', 'name'],
      `RequestAuthentications (${shown}) name URLs of keys, and this control plane fetches them from any address: whoever may write one makes it call addresses inside. Set BLOCKED_CIDRS_IN_JWKS_URIS in its environment to the ranges that it must not reach.`,
    );
  }
}

/** SP1050: where the control plane fetches keys from; whoever restricts what it may call has to let it. */
export function fetchedKeys(context: Context): void {
  for (const authentication of context.of('RequestAuthentication')) {
    for (const [i, { jwks, jwksUri, issuer }] of authentication.spec.jwtRules.entries()) {
      if (jwks) continue;
      const from = jwksUri ?? `the address that ${issuer.replace(/\/$/, '')}/.well-known/openid-configuration names`;
      context.report(
        'SP1050',
        authentication,
        ['spec', 'jwtRules', i, jwksUri === undefined ? 'issuer' : 'jwksUri'],
        `The control plane fetches the keys of ${issuer || 'these tokens'} from ${from}, itself and not through the mesh, and again every 20 minutes. As long as it has none, tokens are refused (401). Let it reach that address, or write the keys into jwks.`,
      );
    }
  }
}
