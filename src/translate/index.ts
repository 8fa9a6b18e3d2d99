/** Snapshot to xDS for one proxy. Pure: the same input gives the same output. */

import { Memo } from '../lib/memo.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { buildClusters } from './clusters.ts';
import { distinctFindings, startTranslation } from './context.ts';
import { buildListeners } from './listeners/index.ts';
import type { Mesh, Translation } from './model.ts';
import { nameTable } from './name-table.ts';
import { secretResources } from './secret-resources.ts';
import { sortedByName } from './sorted.ts';

/** Everything that `proxy` is to run, and what of the resources could not be honoured. */
export function translate(proxy: ProxyIdentity, mesh: Mesh): Translation {
  const { context, findings, requests } = startTranslation(proxy, mesh);
  const { listeners, routes } = buildListeners(context);
  const routeConfigurations = [...routes.values()].map((build) => build());
  const { clusters, endpoints } = buildClusters(context);
  const names = nameTable(context);
  const ofSecrets = distinctFindings();
  const secrets = secretResources(requests.values(), proxy.namespace, mesh.snapshot, ofSecrets.report);
  return {
    resources: {
      listeners: sorted(listeners),
      routes: sorted(routeConfigurations),
      clusters,
      endpoints,
      secrets,
      nameTable: names,
    },
    wantsIdentity: [...requests.values()].some(({ kind }) => kind === 'identity'),
    findings: [...ofSecrets.found.values(), ...findings.values()],
  };
}

const kept = new Memo<readonly { readonly name: string }[]>();

/** By name; the same list for the same members. */
function sorted<T extends { readonly name: string }>(list: readonly T[]): readonly T[] {
  const [first] = list;
  return first ? (kept.get([first], list, () => sortedByName(list, ({ name }) => name)) as readonly T[]) : list;
}
