/** `sallyport netpol`: the NetworkPolicies without which nothing but good behaviour makes traffic use the egress gateway. */

import { Command } from 'commander';
import { egressOnlyThroughGateways } from '../kube/network-policy.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { EXIT } from './exit.ts';
import { readMesh } from './read-mesh.ts';

interface NetpolOptions {
  readonly meshConfig?: string;
  readonly namespace: string;
}

export function netpolCommand(): Command {
  return new Command('netpol')
    .summary('write the NetworkPolicies that close the way round the egress gateway')
    .description(
      'Prints policies by which only the gateways of the configuration leave the cluster; workloads reach the mesh and DNS. Check them with verify.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin')
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .action(async (paths: string[], options: NetpolOptions) => {
      const { snapshot, mesh: config } = await readMesh(paths, options);
      const policies = policiesFor(simulateFiles(snapshot, config));
      const { stringify } = await import('yaml');
      process.stdout.write(policies.map((policy) => stringify(policy)).join('---\n'));
      process.exitCode = EXIT.fine;
    });
}

/** The policies by which only the files' gateways leave the cluster; kube-system, where DNS is, is left alone. */
export function policiesFor({ mesh, proxies }: SimulatedFiles): object[] {
  const names = new Set([
    ...proxies.map(({ namespace }) => namespace),
    ...mesh.snapshot.list('Namespace').map(({ metadata }) => metadata.name),
  ]);
  names.delete('kube-system');
  return egressOnlyThroughGateways({ namespaces: [...names].sort(), gateways: proxies.filter(({ type }) => type === 'router') });
}
