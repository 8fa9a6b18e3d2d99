/** `sallyport allow`: the resources that a short list of hosts stands for. */
import { Command } from 'commander';
import { type Allowed, allowedResources, parseAllowed } from '../control/contained/allow.ts';
import { readPolicies } from '../control/contained/policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { repeatable } from './options.ts';
import { printData, printError } from './print.ts';

export function allowCommand(): Command {
  return new Command('allow')
    .summary('print the resources that run --allow and --policy stand for')
    .description(
      'Prints the ServiceEntries that allow these hosts, as `sallyport run --allow` reads them, for meshConfig.outboundTrafficPolicy REGISTRY_ONLY.',
    )
    .argument('[host...]', 'HOST (80 and 443), HOST:PORT, *.SUFFIX:PORT or tcp://HOST:PORT', collect)
    .option('--policy <file>', 'a list of hosts (repeatable); its JSON Schema: sallyport schema AllowList', repeatable, [])
    .action(async (hosts: readonly Allowed[] = [], { policy }: { readonly policy: readonly string[] }) => {
      const { allowed, ended } = readPolicies(policy, today());
      printError(ended.map((line) => `sallyport: ${line}\n`).join(''));
      const all = [...hosts, ...allowed];
      if (all.length === 0) throw new SallyportError('usage', 'name a host or a --policy, e.g. sallyport allow registry.example.com');
      const { stringify } = await import('yaml');
      printData(
        allowedResources(all)
          .map((entry) => stringify(entry))
          .join('---\n'),
      );
    });
}

export function collect(text: string, all: readonly Allowed[] = []): Allowed[] {
  return [...all, parseAllowed(text)];
}

/** In UTC. */
export function today(): string {
  return new Date().toISOString().slice(0, 10);
}
