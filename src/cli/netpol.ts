/** `sallyport netpol`: the NetworkPolicies without which nothing but good behaviour makes traffic use the egress gateway. */

import { Command } from 'commander';
import { policiesFor } from '../prove/netpol.ts';
import { EXIT } from './exit.ts';
import { printData } from './print.ts';
import { addReadOptions, answerFrom, type ReadMeshOptions } from './read-mesh.ts';

export function netpolCommand(): Command {
  const command = new Command('netpol')
    .summary('write the NetworkPolicies that close the way round the egress gateway')
    .description(
      'Prints policies by which only the gateways of the configuration leave the cluster; workloads reach the mesh and DNS. Check them with verify.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin');
  return addReadOptions(command).action((paths: string[], options: ReadMeshOptions) =>
    answerFrom(async (reader) => {
      const files = await reader.simulated(paths, options);
      reader.demandSound();
      const { stringify } = await import('yaml');
      printData(
        policiesFor(files)
          .map((policy) => stringify(policy))
          .join('---\n'),
      );
      return EXIT.fine;
    }),
  );
}
