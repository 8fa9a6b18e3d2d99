/** The command line: one file a command, loaded when it is asked for. */

import { Command, CommanderError, Help, type Option } from 'commander';
import { codeOf } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import { productVersion } from '../lib/version.ts';
import { EXAMPLES } from '../report/command-examples.ts';
import { describeFailure, EXIT } from './exit.ts';
import { print, printError } from './print.ts';

/** By name. `after` is what stands after `--`: the command that `run` runs. */
const COMMANDS: Readonly<Record<string, (after: readonly string[]) => Promise<Command>>> = table({
  up: async () => (await import('./up.ts')).upCommand(),
  run: async (after) => (await import('./run.ts')).runCommand(after),
  ui: async () => (await import('./ui.ts')).uiCommand(),
  flows: async () => (await import('./flows.ts')).flowsCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  grant: async () => (await import('./grant.ts')).grantCommand(),
  allow: async () => (await import('./allow.ts')).allowCommand(),
  proxy: async () => (await import('./proxy.ts')).proxyCommand(),
  controller: async () => (await import('./controller.ts')).controllerCommand(),
  agent: async () => (await import('./agent.ts')).agentCommand(),
  bootstrap: async () => (await import('./bootstrap.ts')).bootstrapCommand(),
  token: async () => (await import('./token.ts')).tokenCommand(),
  demo: async () => (await import('./demo.ts')).demoCommand(),
  explain: async () => (await import('./explain.ts')).explainCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
  diff: async () => (await import('./diff.ts')).diffCommand(),
  describe: async () => (await import('./describe.ts')).describeCommand(),
  schema: async () => (await import('./schema.ts')).schemaCommand(),
  learn: async () => (await import('./learn.ts')).learnCommand(),
  convert: async () => (await import('./convert.ts')).convertCommand(),
  inject: async () => (await import('./inject.ts')).injectCommand(),
  capture: async () => (await import('./capture.ts')).captureCommand(),
  cni: async () => (await import('./cni.ts')).cniCommand(),
  wait: async () => (await import('./wait.ts')).waitCommand(),
  netpol: async () => (await import('./netpol.ts')).netpolCommand(),
  analyze: async () => (await import('./analyze.ts')).analyzeCommand(productVersion),
  migrate: async () => (await import('./migrate.ts')).migrateCommand(),
  lsp: async () => (await import('./lsp.ts')).lspCommand(),
  completion: async () =>
    (await import('./completion.ts')).completionCommand(() => Promise.all(Object.values(COMMANDS).map((load) => load([])))),
  'proxy-config': async () => (await import('./proxy-config.ts')).proxyConfigCommand(),
  'proxy-status': async () => (await import('./proxy-status.ts')).proxyStatusCommand(),
  version: async () =>
    new Command('version')
      .summary('print the version')
      .description('Prints the version.')
      .action(() => print(`${productVersion()}\n`)),
});

/** Under which heading `sallyport --help` lists what. */
const GROUPS: readonly (readonly [heading: string, names: readonly string[]])[] = [
  ['Run on this machine:', ['up', 'run', 'flows', 'grant', 'ui', 'demo']],
  ['Ask before anything runs:', ['analyze', 'explain', 'verify', 'diff', 'describe', 'migrate']],
  ['Write resources:', ['allow', 'learn', 'convert', 'netpol', 'inject', 'schema']],
  [
    'Proxies and control plane:',
    ['controller', 'proxy', 'proxy-status', 'proxy-config', 'agent', 'bootstrap', 'token', 'wait', 'capture', 'cni'],
  ],
  ['And:', ['audit', 'lsp', 'completion', 'version']],
];

/** Every command, as the help lists them. */
export async function listedCommands(after: readonly string[]): Promise<Command[]> {
  const listed = GROUPS.flatMap(([heading, names]) => names.map((name) => ({ heading, name })));
  return Promise.all(listed.map(async ({ heading, name }) => (await commandOf(name, after)).helpGroup(heading)));
}

/** A command by its name, with what all have in their help. */
export async function commandOf(name: string, after: readonly string[]): Promise<Command> {
  const command = await COMMANDS[name]!(after);
  const examples = EXAMPLES[name] ?? [];
  if (examples.length > 0) command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ ${line}\n`).join('')}`.trimEnd());
  // That nothing is the default needs no words.
  const optionDescription = (option: Option) => new Help().optionDescription(option).replace(/ \(default: (?:\[\]|\{\}|false)\)$/, '');
  for (const one of [command, ...command.commands]) one.configureHelp({ optionDescription }).showHelpAfterError(hintOf(name, after));
  return command;
}

/** What is said below an error of usage. */
function hintOf(name: string, after: readonly string[]): string {
  if (name === 'run' && after.length === 0) return '(what to run stands after --: sallyport run --allow HOST -- CMD)';
  return '(add --help for what there is)';
}

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

const DESCRIPTION = "An egress gateway and service mesh that speaks Istio's API.";

/** The manual's pages, by the names of their files. */
export async function manualPages(): Promise<ReadonlyMap<string, string>> {
  const { manualPages: pagesOf } = await import('../report/manual-pages.ts');
  const commands = await Promise.all(COMMAND_NAMES.map((name) => commandOf(name, [])));
  return pagesOf({ description: DESCRIPTION, version: productVersion(), commands, examples: EXAMPLES });
}

/** Runs a command line (without the program's name) and sets the process's exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', leaveWithTheReader);
  // What nobody reads any more is not said; nothing else changes.
  process.stderr.on('error', () => undefined);
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const program = new Command('sallyport')
    .description(DESCRIPTION)
    .version(productVersion(), '-V, --version')
    .enablePositionalOptions()
    .addHelpCommand(new Command('help').argument('[command]').summary('the same as COMMAND --help').helpGroup('And:'))
    .showHelpAfterError('(add --help for what there is)');
  const after = dashes < 0 ? [] : argv.slice(dashes + 1);
  const asked = own.find((word) => Object.hasOwn(COMMANDS, word));
  for (const command of asked ? [await commandOf(asked, after)] : await listedCommands(after)) program.addCommand(command);
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(own, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
      return;
    }
    const { code, text } = describeFailure(error);
    printError(`${text}\n`);
    process.exitCode = code;
  }
}

/** Whoever read the output has seen enough, as `head` does. */
function leaveWithTheReader(error: Error): void {
  if (codeOf(error) !== 'EPIPE') throw error;
  process.exit(EXIT.fine);
}
