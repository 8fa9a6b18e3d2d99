/** `sallyport netpol`: the policies without which nothing but good behaviour makes traffic use the egress gateway. */

import { Command, Option } from 'commander';
import type { SourceOptions } from '../inputs/reader.ts';
import { printable } from '../lib/printable.ts';
import { POLICY_FORMS, type PolicyForm, policiesFor } from '../prove/netpol.ts';
import { EXIT } from './exit.ts';
import { choiceOption, exemptOption } from './options.ts';
import { printData } from './print.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

interface NetpolOptions extends SourceOptions {
  readonly exempt?: readonly string[];
  readonly output: PolicyForm;
}

export function netpolCommand(): Command {
  const command = new Command('netpol')
    .summary('write the NetworkPolicies that close the way round the egress gateway')
    .description(
      'Prints policies by which only the gateways of the configuration leave the cluster; workloads reach the mesh and DNS. Check them with verify.',
    )
    .argument('[path...]', 'files and folders with the configuration; - for stdin')
    .addOption(exemptOption('namespace that is left as it is'))
    .addOption(
      new Option('-o, --output <form>', "whose policies: Kubernetes' own, or those of a network plugin, which say more")
        .argParser(choiceOption(...POLICY_FORMS))
        .default('kubernetes'),
    );
  return addSourceOptions(command).action((paths: string[], options: NetpolOptions) =>
    answerFrom(async (reader) => {
      demandSource(paths, options, 'files or folders');
      const files = await reader.simulated(paths, options);
      reader.demandSound();
      const { stringify } = await import('yaml');
      const { policies, notes } = policiesFor(files, options.exempt, options.output);
      const text = policies.map((policy) => stringify(policy)).join('---\n');
      printData(`${notes.map((note) => `# ${oneLine(note)}\n`).join('')}${text}`);
      return EXIT.fine;
    }),
  );
}

/** Names in it are others': none begins a line of its own. */
function oneLine(note: string): string {
  return printable(note).replaceAll('\n', '\\n');
}
