/** `sallyport netpol`: the NetworkPolicies without which nothing but good behaviour makes traffic use the egress gateway. */

import { Command } from 'commander';
import type { SourceOptions } from '../inputs/reader.ts';
import { policiesFor } from '../prove/netpol.ts';
import { EXIT } from './exit.ts';
import { printData } from './print.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

export function netpolCommand(): Command {
  const command = new Command('netpol')
    .summary('write the NetworkPolicies that close the way round the egress gateway')
    .description(
      'Prints policies by which only the gateways of the configuration leave the cluster; workloads reach the mesh and DNS. Check them with verify.',
    )
    .argument('[path...]', 'files and folders with the configuration; - for stdin');
  return addSourceOptions(command).action((paths: string[], options: SourceOptions) =>
    answerFrom(async (reader) => {
      demandSource(paths, options, 'files or folders');
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
