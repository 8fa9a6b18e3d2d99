import type { LocalityLoadBalancerSetting, PortTrafficPolicy, ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { isIp } from '../../lib/ip.ts';
import { type Labels, matchesLabels } from '../../lib/labels.ts';
import { localityMatches } from '../../lib/locality.ts';
import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';

/** SP1029: hosts whose resolution takes the addresses from the object, which names none. */
export function missingEndpoints(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { hosts, resolution, endpoints, workloadSelector } = entry.spec;
    if (workloadSelector) {
      strangersSelected(context, entry, workloadSelector.labels);
      if (resolution === 'STATIC') namesSelected(context, entry, workloadSelector.labels);
    }
    if (resolution !== 'STATIC' || endpoints.length > 0 || workloadSelector) continue;
    // It stands for a refusal.
    if (entry.derivedFrom?.kind === 'EgressPolicy') continue;
    context.report(
      'SP1029',
      entry,
      ['spec', 'resolution'],
      `Resolution STATIC takes the addresses of ${hosts.join(', ')} from endpoints or a workloadSelector, and there is neither: calls are answered 503 (UH), connections are closed. Add endpoints, or use resolution DNS.`,
    );
  }
}

/** A selector takes Pods and WorkloadEntries of its own namespace alone; where the files have none there, those of others tell that they know. */
function strangersSelected(context: Context, entry: ResourceOf<'ServiceEntry'>, labels: Labels): void {
  const { namespace } = entry.metadata;
  const selected = [
    ...context.select(labels),
    ...context
      .of('WorkloadEntry')
      .map(({ spec, metadata }) => ({ namespace: metadata.namespace, labels: { ...metadata.labels, ...spec.labels } })),
  ].filter((each) => matchesLabels(labels, each.labels));
  if (selected.length === 0 || selected.some((each) => each.namespace === namespace)) return;
  const others = [...new Set(selected.map((each) => each.namespace))].sort().join(', ');
  context.report(
    'SP1029',
    entry,
    ['spec', 'workloadSelector'],
    `Nothing in namespace ${namespace} has these labels, and a workloadSelector takes Pods and WorkloadEntries of its own namespace alone (those in ${others} have them): ${entry.spec.hosts.join(', ')} has no endpoints, calls are answered 503 (UH), connections are closed. Move the ServiceEntry to ${others}, or name endpoints.`,
  );
}

/** A name is no address: with resolution STATIC nobody looks it up, and Istio leaves such endpoints out. */
function namesSelected(context: Context, entry: ResourceOf<'ServiceEntry'>, labels: Labels): void {
  const { namespace } = entry.metadata;
  if (context.selectIn(namespace, labels).length > 0) return;
  const addresses = context
    .of('WorkloadEntry')
    .filter(({ spec, metadata }) => metadata.namespace === namespace && matchesLabels(labels, { ...metadata.labels, ...spec.labels }))
    .map(({ spec }) => spec.address);
  const names = addresses.filter((address) => address && !isIp(address) && !address.startsWith('unix://'));
  if (names.length === 0 || names.length < addresses.length) return;
  context.report(
    'SP1029',
    entry,
    ['spec', 'resolution'],
    `The WorkloadEntries that are selected have names (${names.join(', ')}), and resolution STATIC takes addresses alone: ${entry.spec.hosts.join(', ')} has no endpoints, calls are answered 503 (UH), connections are closed. Use resolution DNS, or write addresses there.`,
  );
}

/** SP1029: shares of localities that leave no endpoint: what is not among the ones that are named gets nothing. */
export function emptyDistributions(context: Context): void {
  for (const rule of context.of('DestinationRule')) {
    const host = fullHostname(rule.spec.host, rule.metadata.namespace).toLowerCase();
    for (const { setting, path } of localitySettings(rule)) {
      // Where callers are is not in the files: one for all of them.
      const index = setting.distribute.findIndex(({ from }) => from === '*');
      if (setting.enabled === false || index < 0) continue;
      const names = Object.keys(setting.distribute[index]!.to);
      for (const service of context.services.overlapping(host)) {
        const endpoints = service.ports.flatMap((port) => context.registry.endpoints(service, port));
        if (endpoints.length === 0 || endpoints.some(({ locality }) => names.some((name) => localityMatches(name, locality)))) continue;
        const known = [...new Set(endpoints.map(({ locality }) => locality || 'none'))].sort().join(', ');
        context.report(
          'SP1029',
          rule,
          [...path, 'distribute', index, 'to'],
          `All calls to ${service.hostname} are to go to endpoints in ${names.join(', ')}, and it has none there (locality: ${known}): calls are answered 503 (UH), connections are closed. Write the locality of its endpoints (locality: ${(names[0] ?? 'region/zone').replace(/\/\*$/, '')}), or take the distribution out.`,
        );
      }
    }
  }
}

interface PlacedSetting {
  readonly setting: LocalityLoadBalancerSetting;
  readonly path: readonly PathStep[];
}

function localitySettings({ spec }: ResourceOf<'DestinationRule'>): PlacedSetting[] {
  const policies: (readonly [PortTrafficPolicy | undefined, readonly PathStep[]])[] = [
    [spec.trafficPolicy, ['spec', 'trafficPolicy']],
    ...(spec.trafficPolicy?.portLevelSettings ?? []).map((each, i) => [each, ['spec', 'trafficPolicy', 'portLevelSettings', i]] as const),
    ...spec.subsets.map(({ trafficPolicy }, i) => [trafficPolicy, ['spec', 'subsets', i, 'trafficPolicy']] as const),
  ];
  return policies.flatMap(([policy, path]) => {
    const setting = policy?.loadBalancer?.localityLbSetting;
    return setting ? [{ setting, path: [...path, 'loadBalancer', 'localityLbSetting'] }] : [];
  });
}

/** SP1030: rules of the Gateway API's HTTP routes that lead nowhere. Beside others, one that matches a part of the calls may be there to refuse them. */
export function missingBackends(context: Context): void {
  for (const kind of ['HTTPRoute', 'GRPCRoute'] as const) {
    for (const route of context.of(kind)) {
      for (const [i, rule] of route.spec.rules.entries()) {
        if (rule.backendRefs.length > 0 || rule.filters.some(({ type }) => type === 'RequestRedirect')) continue;
        if (rule.matches.length > 0 && route.spec.rules.length > 1) continue;
        context.report(
          'SP1030',
          route,
          ['spec', 'rules', i],
          'This rule has no backendRefs and redirects nothing: the calls that it matches are answered 500. Add the Service or the host (kind: Hostname, group: networking.istio.io) to which they go.',
        );
      }
    }
  }
}

/** Istio's own classes of Gateways. */
const ISTIO_CLASSES = ['istio', 'istio-remote', 'istio-waypoint', 'istio-east-west'];

/** SP1032: Gateways of the Gateway API whose class is nearly one of Istio's. */
export function misspeltClasses(context: Context): void {
  const declared = new Set(context.of('GatewayClass').map(({ metadata }) => metadata.name));
  for (const gateway of context.of('KubernetesGateway')) {
    const { gatewayClassName } = gateway.spec;
    if (ISTIO_CLASSES.includes(gatewayClassName) || declared.has(gatewayClassName)) continue;
    const meant = closest(gatewayClassName, ISTIO_CLASSES);
    if (!meant) continue;
    context.report(
      'SP1032',
      gateway,
      ['spec', 'gatewayClassName'],
      `No GatewayClass ${gatewayClassName} is declared and Istio has none of that name: it serves nothing for this Gateway, and what comes for its routes is refused. Did you mean ${meant}?`,
      { from: gatewayClassName, to: meant },
    );
  }
}
