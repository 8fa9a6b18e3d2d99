/** Snapshot to xDS for one proxy. Pure: the same input gives the same output. */
import type { Finding } from '../lib/finding.ts';
import { buildClusters } from './clusters.ts';
import type { TranslateContext } from './context.ts';
import { buildListeners } from './listeners/index.ts';
import type { Mesh, Proxy, Translation } from './model.ts';
import { nameTable } from './name-table.ts';
import { scopeFor } from './scope.ts';
import { createSecretCollector } from './secrets.ts';

/** Everything that `proxy` is to run, and what of the resources could not be honoured. */
export function translate(proxy: Proxy, mesh: Mesh): Translation {
  const findings: Finding[] = [];
  const report = (finding: Finding) => {
    // Several clusters, routes or chains may come of one object.
    if (!findings.some((other) => other.code === finding.code && other.origin === finding.origin && other.message === finding.message))
      findings.push(finding);
  };
  const scope = scopeFor(proxy, mesh);
  const context: TranslateContext = { proxy, mesh, scope, secrets: createSecretCollector(proxy, mesh, report), report };
  const { listeners, routes } = buildListeners(context);
  const { clusters, endpoints } = buildClusters(context);
  return {
    resources: {
      listeners: sorted(listeners, ({ name }) => name),
      routes: sorted(routes, ({ name }) => name),
      clusters: sorted(clusters, ({ name }) => name),
      endpoints: sorted(endpoints, ({ clusterName }) => clusterName),
      secrets: context.secrets.collected(),
      nameTable: nameTable(context),
    },
    findings,
  };
}

/** By name; of several under one name the first stays. */
function sorted<T>(list: readonly T[], nameOf: (item: T) => string): readonly T[] {
  const byName = new Map<string, T>();
  for (const item of list) if (!byName.has(nameOf(item))) byName.set(nameOf(item), item);
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
