/** `sallyport allow`: the resources that a short list of hosts, or an EgressPolicy, stands for; and the lists of other tools as EgressPolicies. */
import { Command } from 'commander';
import { policyFiles, readPolicies, readPolicyText } from '../control/contained/policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { originText } from '../lib/origin.ts';
import { allowedResources, parseAllowed } from '../policy/allow.ts';
import { resourcesThroughGateway } from '../policy/allow-through-gateway.ts';
import { policyDocuments } from '../policy/index.ts';
import { LIST_FORMS, type ListForm } from '../policy/lists/forms.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { printData, printError } from './print.ts';

interface AllowOptions {
  readonly policy: readonly string[];
  readonly gateway: boolean;
  readonly from?: ListForm;
}

export function allowCommand(): Command {
  return new Command('allow')
    .summary('print the resources that run --allow, --policy and EgressPolicies stand for')
    .description(
      'Prints the resources that allow these hosts, as `sallyport run --allow` reads them, or those that the EgressPolicies of a file are compiled to, for ' +
        'meshConfig.outboundTrafficPolicy REGISTRY_ONLY. With --from the file is the list of another tool, and an EgressPolicy is printed that says the same; ' +
        'what could not be carried over is listed on stderr, and the exit code is 1.',
    )
    .argument('[host|file...]', 'HOST (80 and 443), HOST:PORT, *.SUFFIX:PORT or tcp://HOST:PORT; a file by its ending .yaml or .yml')
    .option('--policy <file>', 'a list of hosts (repeatable); its JSON Schema: sallyport schema AllowList', repeatable, [])
    .option('--gateway', 'the whole set that leads the calls of a list through the egress gateway', false)
    .option('--from <tool>', `whose list the file is: ${LIST_FORMS.join(', ')}`, choiceOption(...LIST_FORMS))
    .action(async (words: readonly string[], { policy, gateway, from }: AllowOptions) => {
      if (from !== undefined) {
        process.exitCode = await convertLists(words, from);
        return;
      }
      const files = words.filter(isFile);
      const hosts = words.filter((word) => !isFile(word)).map(parseAllowed);
      const { policies, lists } = policyFiles([...policy, ...files]);
      const { allowed, ended } = readPolicies(lists, Date.now());
      printError(ended.map((line) => `sallyport: ${line}\n`).join(''));
      const all = [...hosts, ...allowed];
      if (all.length + policies.length === 0)
        throw new SallyportError('usage', 'name a host, a file or a --policy, e.g. sallyport allow registry.example.com');
      if (gateway && policies.length > 0)
        throw new SallyportError(
          'usage',
          '--gateway is for lists: an EgressPolicy says itself whether calls go through the gateway (spec.through)',
        );
      const { documents, findings } = policyDocuments(policies, Date.now());
      printError(findings.map((finding) => `sallyport: ${originText(finding.origin)}: ${finding.message}\n`).join(''));
      const resources = [...(gateway ? resourcesThroughGateway(all) : allowedResources(all)), ...documents];
      const { stringify } = await import('yaml');
      printData(resources.map((resource) => stringify(resource)).join('---\n'));
      if (findings.some(({ level }) => level === 'Error')) process.exitCode = EXIT.findings;
    });
}

/** No top-level domain is called so. */
function isFile(word: string): boolean {
  return /\.ya?ml$/i.test(word);
}

async function convertLists(files: readonly string[], form: ListForm): Promise<number> {
  if (files.length !== 1)
    throw new SallyportError('usage', 'name the one file that holds the list, e.g. sallyport allow --from squid squid.conf');
  const { convertList } = await import('../policy/lists/index.ts');
  const { text, left } = convertList(form, readPolicyText(files[0]!), files[0]!);
  printData(text);
  printError(left.map((line) => `sallyport: not carried over: ${line}\n`).join(''));
  return left.length > 0 ? EXIT.findings : EXIT.fine;
}
