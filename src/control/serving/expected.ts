/** The proxies that are likely to connect: their configuration is made before they ask, so that those who come first need not wait for it. */
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { identityOf, LOCAL } from '../../prove/simulated.ts';
import type { Mesh } from '../../translate/model.ts';

/** Those of the workloads that there are; without any, a sidecar of nothing that is known. */
export function expectedProxies({ snapshot, registry: { workloads } }: Mesh): readonly ProxyIdentity[] {
  if (workloads.length === 0) return [{ ...LOCAL, addresses: ['127.0.0.1'] }];
  const selectors = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  return workloads.map((workload) => identityOf(workload, selectors));
}
