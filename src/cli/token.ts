/** `sallyport token`: what a workload shows the CA before it has a certificate, where no Kubernetes gives it one. */
import { Command, Option } from 'commander';
import { TOKEN_AUDIENCE } from '../lib/spiffe.ts';
import { defaulted, durationOption, kubeNameOption } from './options.ts';
import { print } from './print.ts';

interface Options {
  readonly ca: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly for: number;
  readonly audience: string;
}

export function tokenCommand(): Command {
  const command = new Command('token')
    .summary('make tokens by which workloads get their identity')
    .description('Tokens for the CA of a mesh. Whoever has one gets certificates of its workload until it ends: hand it over as a secret.')
    .exitOverride();
  command
    .command('create')
    .description(
      "Prints a new token for a service account, signed with the key in the CA's folder (token-key.pem, made on first use); without that file all of its tokens are refused.",
    )
    .exitOverride()
    .requiredOption('--ca <folder>', 'CA of the mesh, as for sallyport controller')
    .addOption(new Option('--namespace <name>', 'of the workload').argParser(kubeNameOption).makeOptionMandatory())
    .addOption(new Option('--service-account <name>', 'of the workload').argParser(kubeNameOption).makeOptionMandatory())
    .addOption(defaulted('--for <duration>', 'how long it is good for', durationOption, '1h'))
    .option('--audience <name>', 'whom it is for', TOKEN_AUDIENCE)
    .action(async ({ ca, namespace, serviceAccount, for: lifeMs, audience }: Options) => {
      const { createLocalToken } = await import('../ca/local-tokens.ts');
      print(`${createLocalToken({ ca, namespace, serviceAccount, audience, lifeMs }, Date.now())}\n`);
    });
  return command;
}
