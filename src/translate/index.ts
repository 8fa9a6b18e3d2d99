/** Snapshot to xDS for one proxy. Pure: the same input gives the same output. */

import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { buildClusters } from './clusters.ts';
import type { TranslateContext } from './context.ts';
import { buildListeners } from './listeners/index.ts';
import type { Mesh, Translation } from './model.ts';
import { nameTable } from './name-table.ts';
import { scopeFor } from './scope.ts';
import { createSecretCollector } from './secrets.ts';
import { sortedByName } from './sorted.ts';

/** Everything that `proxy` is to run, and what of the resources could not be honoured. */
export function translate(proxy: ProxyIdentity, mesh: Mesh): Translation {
  // Several clusters, routes or chains may come of one object.
  const findings = new Map<string, Finding>();
  const report = (finding: Finding) => {
    const key = JSON.stringify([finding.code, originText(finding.origin), finding.message]);
    if (!findings.has(key)) findings.set(key, finding);
  };
  const scope = scopeFor(proxy, mesh);
  const context: TranslateContext = { proxy, mesh, scope, secrets: createSecretCollector(proxy, mesh, report), report };
  const { listeners, routes } = buildListeners(context);
  const routeConfigurations = [...routes.values()].map((build) => build());
  const { clusters, endpoints } = buildClusters(context);
  return {
    resources: {
      listeners: sortedByName(listeners, ({ name }) => name),
      routes: sortedByName(routeConfigurations, ({ name }) => name),
      clusters: sortedByName(clusters, ({ name }) => name),
      endpoints: sortedByName(endpoints, ({ clusterName }) => clusterName),
      secrets: context.secrets.collected(),
      nameTable: nameTable(context),
    },
    findings: [...findings.values()],
  };
}
