/** Rules of WorkloadGroup, ProxyConfig and EnvoyFilter. */
import type { EnvoyFilter } from '../envoy-filter.ts';
import type { Rules } from '../kind.ts';
import type { ProxyConfig } from '../proxy-config.ts';
import type { WorkloadGroup } from '../workload-group.ts';
import { labelsOf, type Report, selectorOf, unixPathProblem } from './checks.ts';
import { targetsOf } from './targets.ts';

export const workloadGroupRules: Rules<WorkloadGroup> = ({ spec }, report) => {
  if (spec.metadata) labelsOf(spec.metadata.labels, ['spec', 'metadata', 'labels'], report);
  const { address, ports } = spec.template;
  if (address.startsWith('unix://')) {
    const message = unixPathProblem(address.slice('unix://'.length));
    if (message) report({ path: ['spec', 'template', 'address'], message });
    if (Object.keys(ports).length > 0)
      report({ path: ['spec', 'template', 'ports'], at: 'key', message: 'must not stand beside a unix address' });
  }
  const { probe } = spec;
  if (!probe) return;
  if (!probe.httpGet && !probe.tcpSocket && !probe.exec && !probe.grpc)
    report({ path: ['spec', 'probe'], message: 'needs one of httpGet, tcpSocket, exec and grpc' });
  if (probe.exec?.command.length === 0) report({ path: ['spec', 'probe', 'exec', 'command'], message: 'must not be empty' });
};

export const proxyConfigRules: Rules<ProxyConfig> = ({ spec }, report) => {
  selectorOf(spec.selector?.matchLabels, ['spec', 'selector'], report);
};

export const envoyFilterRules: Rules<EnvoyFilter> = ({ spec }, report) => {
  selectorOf(spec.workloadSelector?.labels, ['spec', 'workloadSelector'], report);
  targetsOf({ targetRefs: spec.targetRefs }, report);
  if (spec.workloadSelector && spec.targetRefs.length > 0)
    report({ path: ['spec', 'targetRefs'], at: 'key', message: 'must not stand beside workloadSelector' });
  spec.configPatches.forEach((patch, index) => {
    patchOf(patch, ['spec', 'configPatches', index], report);
  });
};

function patchOf(patch: EnvoyFilter['configPatches'][number], path: readonly (string | number)[], report: Report): void {
  const { applyTo, match } = patch;
  if (applyTo === 'INVALID') report({ path: [...path, 'applyTo'], message: 'is missing: it says what is patched' });
  if (!patch.patch) {
    report({ path, message: 'needs a patch' });
    return;
  }
  const { operation, value } = patch.patch;
  if (operation === 'INVALID') report({ path: [...path, 'patch', 'operation'], message: 'is missing: it says how the value is applied' });
  if (operation !== 'REMOVE' && value === undefined) report({ path: [...path, 'patch'], message: `operation ${operation} needs a value` });
  const waypoint = match?.context === 'WAYPOINT';
  if (match?.waypoint && !waypoint) report({ path: [...path, 'match', 'waypoint'], at: 'key', message: 'needs context WAYPOINT' });
  const wanted = MATCHED.get(applyTo);
  for (const field of ['listener', 'routeConfiguration', 'cluster'] as const) {
    if (wanted && match?.[field] && field !== wanted)
      report({ path: [...path, 'match', field], at: 'key', message: `applyTo ${applyTo} matches by ${wanted}, not by ${field}` });
  }
  const chain = match?.listener?.filterChain;
  if (!chain?.filter) return;
  const at = [...path, 'match', 'listener', 'filterChain', 'filter'];
  const { name, subFilter } = chain.filter;
  if (!name) report({ path: at, message: 'needs a name' });
  else if (subFilter && applyTo !== 'HTTP_FILTER')
    report({ path: [...at, 'subFilter'], at: 'key', message: `matches for HTTP_FILTER only, not for ${applyTo}` });
  else if (subFilter && !HTTP_MANAGER.test(name))
    report({
      path: [...at, 'name'],
      message: `must be envoy.filters.network.http_connection_manager, not "${name}": only it has a subFilter`,
    });
  else if (subFilter && !subFilter.name) report({ path: [...at, 'subFilter'], message: 'needs a name' });
}

const HTTP_MANAGER = /^envoy\.(?:filters\.network\.)?http_connection_manager$/;

/** The part of `match` that says which objects a patch is for. */
const MATCHED: ReadonlyMap<string, 'listener' | 'routeConfiguration' | 'cluster'> = new Map([
  ['LISTENER', 'listener'],
  ['FILTER_CHAIN', 'listener'],
  ['NETWORK_FILTER', 'listener'],
  ['HTTP_FILTER', 'listener'],
  ['LISTENER_FILTER', 'listener'],
  ['ROUTE_CONFIGURATION', 'routeConfiguration'],
  ['VIRTUAL_HOST', 'routeConfiguration'],
  ['HTTP_ROUTE', 'routeConfiguration'],
  ['CLUSTER', 'cluster'],
]);
