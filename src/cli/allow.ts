/** `sallyport allow`: the resources that a short list of hosts stands for. */
import { Command } from 'commander';
import { readPolicies } from '../control/contained/policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { type Allowed, allowedResources, parseAllowed } from '../policy/allow.ts';
import { resourcesThroughGateway } from '../policy/allow-through-gateway.ts';
import { repeatable } from './options.ts';
import { printData, printError } from './print.ts';

interface AllowOptions {
  readonly policy: readonly string[];
  readonly gateway: boolean;
}

export function allowCommand(): Command {
  return new Command('allow')
    .summary('print the resources that run --allow and --policy stand for')
    .description(
      'Prints the resources that allow these hosts, as `sallyport run --allow` reads them, for meshConfig.outboundTrafficPolicy REGISTRY_ONLY.',
    )
    .argument('[host...]', 'HOST (80 and 443), HOST:PORT, *.SUFFIX:PORT or tcp://HOST:PORT', collect)
    .option('--policy <file>', 'a list of hosts (repeatable); its JSON Schema: sallyport schema AllowList', repeatable, [])
    .option('--gateway', 'the whole set that leads the calls through the egress gateway', false)
    .action(async (hosts: readonly Allowed[] = [], { policy, gateway }: AllowOptions) => {
      const { allowed, ended } = readPolicies(policy, Date.now());
      printError(ended.map((line) => `sallyport: ${line}\n`).join(''));
      const all = [...hosts, ...allowed];
      if (all.length === 0) throw new SallyportError('usage', 'name a host or a --policy, e.g. sallyport allow registry.example.com');
      const { stringify } = await import('yaml');
      const resources = gateway ? resourcesThroughGateway(all) : allowedResources(all);
      printData(resources.map((resource) => stringify(resource)).join('---\n'));
    });
}

export function collect(text: string, all: readonly Allowed[] = []): Allowed[] {
  return [...all, parseAllowed(text)];
}
