/** Which calls come to the ports of services: by which proxy, in which form, and by which rule or without one. */

import type { ClientTlsSettings, ResourceOf, TrafficPolicy } from '../api/index.ts';
import type { PathStep, Resource } from '../api/resource.ts';
import { fullHostname } from '../lib/hostname.ts';
import type { Caller } from '../registry/destination-rules.ts';
import type { Service, ServicePort } from '../registry/model.ts';
import { isVisible, visibilityOf } from '../registry/visibility.ts';
import { gatewayPods } from './analyzers/gateway.ts';
import { destinationsOfRule } from './analyzers/virtual-service-destinations.ts';
import { findGateway } from './analyzers/virtual-service-gateways.ts';
import { callersOf } from './callers.ts';
import type { Context } from './context.ts';
import {
  type AnyRule,
  concernedPorts,
  externalServices,
  type FindMeshVirtualService,
  holdsOnMesh,
  meshRules,
  meshVirtualServices,
  onMesh,
  routeKind,
  type VirtualService,
  withDelegates,
} from './egress-model.ts';

export interface Arrival {
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: string;
  /** What the proxy that sends has in hand: requests, TLS that it does not open, or bytes that it does not look at. */
  readonly bytes: 'http' | 'tls' | 'tcp';
  /** Sidecars, or the pods of a gateway. */
  readonly by: 'sidecar' | 'gateway';
  /** A workload, whose DestinationRules count. */
  readonly caller: Caller;
  /** Where it is written: at the destination of a rule, or at the port of what declares it. */
  readonly resource: Resource;
  readonly path: readonly PathStep[];
}

/** Those of rules, and those of external services' ports that no rule on the mesh concerns. One for each namespace whose workloads call. */
export function* arrivalsOf(context: Context): Generator<void, readonly Arrival[]> {
  const arrivals: Arrival[] = [];
  for (const virtualService of context.of('VirtualService')) {
    yield;
    arrivals.push(...byRules(context, virtualService));
  }
  return arrivals.concat(yield* straight(context));
}

function byRules(context: Context, alone: VirtualService): Arrival[] {
  const virtualService = withDelegates(context, alone);
  const arrivals: Arrival[] = [];
  for (const kind of ['http', 'tls', 'tcp'] as const) {
    const rules: readonly AnyRule[] = virtualService.spec[kind];
    for (const [i, rule] of rules.entries()) {
      const met = kind !== 'http' || holdsOnMesh(concernedPorts(context, virtualService, rule));
      const callers = followersOf(context, virtualService, rule);
      for (const { destination, path: within } of destinationsOfRule(rule)) {
        const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
        const path = ['spec', kind, i, ...within];
        for (const { by, caller } of callers) {
          if (by === 'sidecar' && !met) continue;
          const service = context.registry.lookup(host, caller.namespace);
          const number = destination.port?.number || (service?.ports.length === 1 ? service.ports[0]!.number : undefined);
          const port = service?.ports.find((each) => each.number === number);
          if (service && port)
            arrivals.push({ service, port, subset: destination.subset ?? '', bytes: kind, by, caller, resource: virtualService, path });
        }
      }
    }
  }
  return arrivals;
}

interface Follower {
  readonly by: 'sidecar' | 'gateway';
  readonly caller: Caller;
}

/** Who follows a rule: one workload for each namespace that sees the VirtualService, and one pod for each of its Gateways. */
function followersOf(context: Context, virtualService: VirtualService, { match }: AnyRule): Follower[] {
  const { gateways, exportTo } = virtualService.spec;
  const { namespace } = virtualService.metadata;
  const holdsAt = (name: string) =>
    gateways.includes(name) && (match.length === 0 || match.some((each) => each.gateways.length === 0 || each.gateways.includes(name)));
  const followers: Follower[] = [];
  for (const name of gateways) {
    const gateway = name === 'mesh' || !holdsAt(name) ? undefined : findGateway(context, name, namespace);
    const caller = gateway && gatewayPods(context, gateway)[0];
    if (caller) followers.push({ by: 'gateway', caller });
  }
  if (!onMesh(virtualService) || !holdsAt('mesh')) return followers;
  const visibility = visibilityOf(exportTo, context.mesh.defaultVirtualServiceExportTo);
  for (const caller of callersOf(context, namespace))
    if (isVisible(visibility, namespace, caller.namespace)) followers.push({ by: 'sidecar', caller });
  return followers;
}

function* straight(context: Context): Generator<void, Arrival[]> {
  const find: FindMeshVirtualService = meshVirtualServices(context);
  const arrivals: Arrival[] = [];
  for (const service of externalServices(context)) {
    yield;
    for (const caller of callersOf(context, service.namespace)) {
      if (context.registry.lookup(service.hostname, caller.namespace) !== service) continue;
      const virtualService = find(service.hostname, ({ spec, metadata }) =>
        isVisible(visibilityOf(spec.exportTo, context.mesh.defaultVirtualServiceExportTo), metadata.namespace, caller.namespace),
      );
      for (const [i, port] of service.ports.entries()) {
        if (virtualService && meshRules(virtualService, service.hostname, port).length > 0) continue;
        const path = ['spec', 'ports', i];
        arrivals.push({ service, port, subset: '', bytes: routeKind(port), by: 'sidecar', caller, resource: service.resource, path });
      }
    }
  }
  return arrivals;
}

/** TLS that a proxy originates, and where it is written. */
export interface UpstreamTls {
  readonly rule: ResourceOf<'DestinationRule'>;
  readonly tls: ClientTlsSettings;
  readonly path: readonly PathStep[];
  /** False for a secret by name at a sidecar: Istio takes it there from rules with a workloadSelector alone, and else originates nothing. */
  readonly holds: boolean;
}

/** What the DestinationRule that the caller follows says of TLS; undefined without one, or for mode DISABLE. */
export function upstreamTls(context: Context, { service, port, subset, caller, by }: Arrival): UpstreamTls | undefined {
  const rule = context.ruleFor(caller, service);
  if (!rule) return undefined;
  const { subsets, trafficPolicy } = rule.spec;
  const index = subsets.findIndex(({ name }) => name === subset);
  const ofSubset = index < 0 ? undefined : subsets[index]!.trafficPolicy;
  const found =
    tlsOfPort(ofSubset, port.number, ['spec', 'subsets', index, 'trafficPolicy']) ??
    // What a subset says of the port leaves nothing of the rule.
    (indexOfPort(ofSubset, port.number) >= 0 ? undefined : tlsOfPort(trafficPolicy, port.number, ['spec', 'trafficPolicy']));
  if (!found || found.tls.mode === 'DISABLE') return undefined;
  const holds = !(found.tls.credentialName && by === 'sidecar' && !rule.spec.workloadSelector);
  return { rule, ...found, holds };
}

/** Settings of the port replace the general ones as a whole. */
export function tlsOfPort(
  policy: TrafficPolicy | undefined,
  port: number,
  path: readonly PathStep[],
): Pick<UpstreamTls, 'tls' | 'path'> | undefined {
  const index = indexOfPort(policy, port);
  const level = index >= 0 ? policy!.portLevelSettings[index]! : policy;
  if (!level?.tls) return undefined;
  return { tls: level.tls, path: index >= 0 ? [...path, 'portLevelSettings', index, 'tls'] : [...path, 'tls'] };
}

function indexOfPort(policy: TrafficPolicy | undefined, port: number): number {
  return policy?.portLevelSettings.findIndex((each) => each.port?.number === port) ?? -1;
}
