/**
 * Policies whose enforcement is missing. Each makes what it concerns refuse: a policy that is quietly left out would leave open what its author
 * believes closed.
 */

import { create } from '@bufbuild/protobuf';
import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { PolicyTargetReference, ResourceOf, WorkloadLabelSelector } from '../../api/index.ts';
import { originOf, type Resource, resourceText } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { accessLogs } from '../access-log.ts';
import type { TranslateContext } from '../context.ts';
import { tcpProxy } from '../filters.ts';
import { gatewaysOf } from '../gateways.ts';
import { metadataOf } from '../metadata.ts';
import { BLACK_HOLE_CLUSTER } from '../names.ts';
import { refusingHost } from '../routes/defaults.ts';
import { type Chain, chain } from './chains.ts';
import { type HttpSide, httpConnectionManager } from './hcm.ts';

export interface Refusal {
  readonly origin: Resource;
  readonly reason: string;
  /** `http`: bytes that are not HTTP pass. */
  readonly concerns: 'http' | 'all';
}

/** The refusals that concern a port of this proxy; ports matter to PeerAuthentication only, which gateways do not heed. */
export type RefusalOf = (port: number) => Refusal | undefined;

export function refusals(context: TranslateContext): RefusalOf {
  const whole = authorizationRefusal(context) ?? authenticationRefusal(context);
  const peer = context.proxy.type === 'sidecar' ? peerAuthentication(context) : undefined;
  const reported = new Set<Resource>();
  const report = (refusal: Refusal | undefined) => {
    if (!refusal || reported.has(refusal.origin)) return refusal;
    reported.add(refusal.origin);
    reportRefusal(context, refusal.origin, refusal.reason);
    return refusal;
  };
  return (port) => {
    if (whole?.concerns === 'all') return report(whole);
    return report(peer?.(port) ?? whole);
  };
}

export function reportRefusal(context: TranslateContext, origin: Resource, reason: string): void {
  const { proxy } = context;
  const message = `${reason}. What this concerns at ${proxy.namespace}/${proxy.name} refuses connections instead of running open.`;
  context.report({ code: 'SP1024', level: 'Error', message, origin: originOf(origin), position: origin.source.position() });
}

interface Targeted {
  readonly selector?: WorkloadLabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs: readonly PolicyTargetReference[];
}

/**
 * A policy attached to a Kubernetes Gateway holds for the proxies that serve it. (Istio looks at it on proxies that it has deployed itself only; what was
 * meant to restrict a gateway shall not leave it open.) Those attached to Services hold for waypoints, not for these proxies.
 */
function selects(context: TranslateContext, policy: Resource<string, Targeted>): boolean {
  const { proxy, mesh } = context;
  const { selector, targetRef, targetRefs } = policy.spec;
  const targets = targetRef ? [targetRef, ...targetRefs] : targetRefs;
  if (targets.length > 0) return targets.some((target) => isServed(context, policy.metadata.namespace, target));
  return inNamespace(policy, proxy.namespace, mesh.config.rootNamespace) && matchesLabels(selector?.matchLabels ?? {}, proxy.labels);
}

function isServed(context: TranslateContext, namespace: string, { group, kind, name }: PolicyTargetReference): boolean {
  if (context.proxy.type !== 'router' || group !== GATEWAY_API || kind !== 'Gateway') return false;
  return gatewaysOf(context).some(
    ({ derivedFrom }) => derivedFrom !== undefined && derivedFrom.metadata.namespace === namespace && derivedFrom.metadata.name === name,
  );
}

function inNamespace({ metadata }: Resource, namespace: string, rootNamespace: string): boolean {
  return metadata.namespace === namespace || metadata.namespace === rootNamespace;
}

function authorizationRefusal(context: TranslateContext): Refusal | undefined {
  const policy = context.mesh.snapshot.list('AuthorizationPolicy').find((each) => enforced(each) && selects(context, each));
  return (
    policy && { origin: policy, reason: `${resourceText(policy)} asks for authorization, which this version does not do`, concerns: 'all' }
  );
}

/** A dry run and AUDIT only report. */
function enforced({ metadata, spec }: ResourceOf<'AuthorizationPolicy'>): boolean {
  return metadata.annotations['istio.io/dry-run'] !== 'true' && spec.action !== 'AUDIT';
}

function authenticationRefusal(context: TranslateContext): Refusal | undefined {
  const policy = context.mesh.snapshot
    .list('RequestAuthentication')
    .find((each) => each.spec.jwtRules.length > 0 && selects(context, each));
  return (
    policy && {
      origin: policy,
      reason: `${resourceText(policy)} asks for JSON Web Tokens to be checked, which this version does not do`,
      concerns: 'http',
    }
  );
}

/** The mode in force for a port: of the workload's own policy, else of its namespace's, else of the root namespace's; STRICT refuses. */
function peerAuthentication(context: TranslateContext): RefusalOf | undefined {
  const { proxy, mesh } = context;
  const { rootNamespace } = mesh.config;
  const policies = mesh.snapshot.list('PeerAuthentication').filter((each) => inNamespace(each, proxy.namespace, rootNamespace));
  const selective = (each: ResourceOf<'PeerAuthentication'>) => Object.keys(each.spec.selector?.matchLabels ?? {}).length > 0;
  const levels = [
    policies.find(
      (each) =>
        each.metadata.namespace === proxy.namespace &&
        selective(each) &&
        matchesLabels(each.spec.selector?.matchLabels ?? {}, proxy.labels),
    ),
    policies.find((each) => each.metadata.namespace === proxy.namespace && !selective(each)),
    policies.find((each) => each.metadata.namespace === rootNamespace && !selective(each)),
  ].filter((each) => each !== undefined);
  if (levels.length === 0) return undefined;
  return (port) => {
    const ofPort = levels[0]!.spec.portLevelMtls[String(port)];
    const deciding = ofPort && ofPort.mode !== 'UNSET' ? levels[0] : levels.find((each) => (each.spec.mtls?.mode ?? 'UNSET') !== 'UNSET');
    const mode = ofPort && ofPort.mode !== 'UNSET' ? ofPort.mode : deciding?.spec.mtls?.mode;
    if (!deciding || mode !== 'STRICT') return undefined;
    return { origin: deciding, reason: `${resourceText(deciding)} asks for mutual TLS, which this version does not do`, concerns: 'all' };
  };
}

/** In place of a chain that a policy concerns: HTTP is told why, anything else is closed. */
export function refusingChain(
  context: TranslateContext,
  parts: Partial<Chain> & { side: HttpSide; http: boolean },
  refusal: Refusal,
): Chain {
  const { side, http, ...match } = parts;
  const name = `refused|${resourceText(refusal.origin)}`;
  const routes = create(RouteConfigurationSchema, { name, virtualHosts: [refusingHost(name, refusal.reason)], validateClusters: false });
  const filter = http ? httpConnectionManager(context.mesh.config, { side, statPrefix: 'refused', routes }) : closing(context);
  return chain({ ...match, filters: [filter], metadata: metadataOf({ origins: [refusal.origin], refusal: refusal.reason }) });
}

/** Accepts and closes. */
function closing(context: TranslateContext): Filter {
  const clusters = [{ name: BLACK_HOLE_CLUSTER, weight: 1 }];
  return tcpProxy({ statPrefix: BLACK_HOLE_CLUSTER, clusters, accessLog: accessLogs(context.mesh.config) });
}
