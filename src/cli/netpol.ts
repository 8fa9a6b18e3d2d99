/** `sallyport netpol`: the NetworkPolicies without which nothing but good behaviour makes traffic use the egress gateway. */
import { Command } from 'commander';
import { openFiles } from '../config/files.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { egressOnlyThroughGateways } from '../kube/network-policy.ts';
import { EXIT } from './exit.ts';
import { simulateFiles } from './simulated.ts';

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
      const source = await openFiles(paths, { namespace: options.namespace });
      source.close();
      const { config } = loadMeshConfig(source.snapshot, options.meshConfig);
      const { proxies } = simulateFiles(source.snapshot, config);
      const namespaces = [
        ...new Set([
          ...proxies.map(({ namespace }) => namespace),
          ...source.snapshot.list('Namespace').map(({ metadata }) => metadata.name),
        ]),
      ];
      const gateways = proxies.filter(({ type }) => type === 'router');
      const { stringify } = await import('yaml');
      const policies = egressOnlyThroughGateways({ namespaces: namespaces.filter((name) => name !== 'kube-system').sort(), gateways });
      process.stdout.write(policies.map((policy) => stringify(policy)).join('---\n'));
      process.exitCode = EXIT.fine;
    });
}
