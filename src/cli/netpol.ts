/** `sallyport netpol`: the NetworkPolicies without which nothing but good behaviour makes traffic use the egress gateway. */

import { Command } from 'commander';
import { policiesFor } from '../prove/netpol.ts';
import { printData } from './print.ts';
import { addReadOptions, type ReadMeshOptions, readSimulated } from './read-mesh.ts';

export function netpolCommand(): Command {
  const command = new Command('netpol')
    .summary('write the NetworkPolicies that close the way round the egress gateway')
    .description(
      'Prints policies by which only the gateways of the configuration leave the cluster; workloads reach the mesh and DNS. Check them with verify.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin');
  return addReadOptions(command).action(async (paths: string[], options: ReadMeshOptions) => {
    const policies = policiesFor(await readSimulated(paths, options));
    const { stringify } = await import('yaml');
    printData(policies.map((policy) => stringify(policy)).join('---\n'));
  });
}
