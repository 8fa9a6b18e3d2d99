/** `describe`: what applies to a workload or a host. */
import type { ResourceOf } from '../api/index.ts';
import { placeText, resourceText } from '../api/resource.ts';
import { egressPolicies } from '../kube/network-policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { fullHostname, hostCovers } from '../lib/hostname.ts';
import { labelsText } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { closest } from '../lib/spelling.ts';
import type { Service } from '../registry/model.ts';
import { peerModes } from '../registry/peer-modes.ts';
import { authorizationPolicies, isDryRun } from '../translate/authorization/selection.ts';
import { requestAuthentications } from '../translate/authorization/tokens.ts';
import { startTranslation } from '../translate/context.ts';
import { type BareWorkload, type SimulatedFiles, workloadName } from './simulated.ts';

/** What is described: a workload by `namespace/name`, or a host by its full name. */
export interface Subject {
  readonly kind: 'workload' | 'host';
  readonly name: string;
}

/** What applies to the subject, in words. */
export interface Description {
  readonly subject: string;
  readonly sections: readonly Section[];
}

export interface Section {
  readonly heading: string;
  /** Empty where there is nothing of this kind. */
  readonly lines: readonly string[];
}

/** Throws `no-such-workload` or `no-such-host`. */
export function describe(files: SimulatedFiles, { kind, name }: Subject): Description {
  return kind === 'workload' ? ofWorkload(files, name) : ofHost(files, name);
}

function ofWorkload(files: SimulatedFiles, name: string): Description {
  const { mesh, proxies, bare, proxy } = files;
  const isNamed = (candidate: ProxyIdentity) => workloadName(candidate) === name;
  const without = bare.find(({ identity }) => isNamed(identity));
  if (without) return ofBare(files, without);
  proxy(name);
  const identity = proxies.find(isNamed) as ProxyIdentity;
  const { context } = startTranslation(identity, mesh);
  const { scope } = context;
  const gateways = mesh.snapshot
    .list('Gateway')
    .filter(
      ({ spec }) =>
        Object.keys(spec.selector).length > 0 && Object.entries(spec.selector).every(([key, value]) => identity.labels[key] === value),
    );
  const routes =
    identity.type === 'router'
      ? gateways.flatMap(({ metadata }) => scope.virtualServicesForGateway(`${metadata.namespace}/${metadata.name}`))
      : scope.egress.flatMap((egress) => egress.virtualServices);
  return {
    subject: `${identity.type} ${name}, labels ${labelsText(identity.labels) || 'none'}`,
    sections: [
      { heading: 'Outbound traffic policy', lines: [scope.outboundTrafficPolicy.mode] },
      { heading: 'Sidecar', lines: scope.sidecar ? [placeText(scope.sidecar)] : [] },
      ...(identity.type === 'router' ? [{ heading: 'Gateways', lines: gateways.map(placeText) }] : []),
      { heading: 'Services that it serves', lines: servedBy(files, identity) },
      {
        heading: 'Policies that hold for calls to it',
        lines: [...authorizationPolicies(context).map(policyLine), ...requestAuthentications(context).map(placeText)],
      },
      { heading: 'Mutual TLS that it takes', lines: identity.type === 'sidecar' ? mutualTls(files, identity) : [] },
      {
        heading: 'VirtualServices that it follows',
        lines: [...new Set(routes)].map((route) => `${placeText(route)}: ${route.spec.hosts.join(', ')}`),
      },
      { heading: 'External hosts that it knows', lines: scope.services.filter((service) => service.meshExternal).map(serviceLine) },
      networkPolicies(files, identity),
    ],
  };
}

/** A workload without a sidecar: no route and no policy of the mesh holds for what it calls. */
function ofBare(files: SimulatedFiles, { identity, why }: BareWorkload): Description {
  return {
    subject: `workload ${workloadName(identity)} without a sidecar (it ${why}), labels ${labelsText(identity.labels) || 'none'}`,
    sections: [{ heading: 'Services that it serves', lines: servedBy(files, identity) }, networkPolicies(files, identity)],
  };
}

function servedBy({ mesh }: SimulatedFiles, identity: ProxyIdentity): string[] {
  return mesh.registry
    .servicesOf(identity)
    .map(({ service, port, endpointPort }) => `${service.hostname} port ${port.number} (${port.protocol}) at ${endpointPort}`);
}

function policyLine(policy: ResourceOf<'AuthorizationPolicy'>): string {
  return `${placeText(policy)}: ${policy.spec.action}${isDryRun(policy) ? ', dry run' : ''}`;
}

/** What PeerAuthentications say of its ports, where any says something. */
function mutualTls({ mesh }: SimulatedFiles, identity: ProxyIdentity): string[] {
  const ports = new Set(mesh.registry.servicesOf(identity).map(({ endpointPort }) => endpointPort));
  const modes = peerModes(mesh);
  return [...ports].flatMap((port) => {
    const { mode, origin } = modes.of(identity, port);
    return origin ? [`port ${port}: ${mode} [${placeText(origin)}]`] : [];
  });
}

function networkPolicies({ mesh }: SimulatedFiles, identity: ProxyIdentity): Section {
  return {
    heading: 'NetworkPolicies that restrict what leaves it',
    lines: egressPolicies(mesh.snapshot.list('NetworkPolicy'), identity).map(placeText),
  };
}

function serviceLine(service: Service): string {
  return `${service.hostname}: ${service.ports.map(({ number, protocol }) => `${number} ${protocol}`).join(', ')} [${resourceText(service.resource)}]`;
}

function ofHost({ mesh }: SimulatedFiles, name: string): Description {
  const host = name.toLowerCase();
  const services = mesh.registry.services.filter(({ hostname }) => hostCovers(hostname, host));
  if (services.length === 0) {
    const near = closest(
      host,
      mesh.registry.services.map(({ hostname }) => hostname),
    );
    throw new SallyportError('no-such-host', `nothing declares ${name}${near ? `; did you mean ${near}?` : '.'}`);
  }
  const covers = (written: string, namespace: string) => hostCovers(fullHostname(written, namespace).toLowerCase(), host);
  const routes = mesh.snapshot
    .list('VirtualService')
    .filter(({ spec, metadata }) => spec.hosts.some((one) => covers(one, metadata.namespace)));
  const rules = mesh.snapshot.list('DestinationRule').filter(({ spec, metadata }) => covers(spec.host, metadata.namespace));
  const gateways = mesh.snapshot
    .list('Gateway')
    .filter(({ spec }) => spec.servers.some(({ hosts }) => hosts.some((one) => hostCovers(one.slice(one.indexOf('/') + 1), host))));
  return {
    subject: `host ${host}`,
    sections: [
      {
        heading: 'Declared by',
        lines: services.map(
          (service) =>
            `${placeText(service.resource)}: ${service.ports.map(({ number, protocol }) => `${number} ${protocol}`).join(', ')}, resolution ${service.resolution}, visible to ${[...service.exportTo].join(', ')}`,
        ),
      },
      {
        heading: 'Addresses',
        lines: services.flatMap(({ addresses, autoAddresses }) => [
          ...addresses,
          ...autoAddresses.map((address) => `${address} (allocated)`),
        ]),
      },
      { heading: 'VirtualServices', lines: routes.map((route) => `${placeText(route)}: on ${route.spec.gateways.join(', ')}`) },
      { heading: 'DestinationRules', lines: rules.map((rule: ResourceOf<'DestinationRule'>) => placeText(rule)) },
      { heading: 'Gateways that serve it', lines: gateways.map(placeText) },
    ],
  };
}
