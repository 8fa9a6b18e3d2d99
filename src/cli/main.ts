/** The command line: one file a command, loaded when it is asked for. */

import { Command } from 'commander';
import { table } from '../lib/table.ts';
import { productVersion } from '../lib/version.ts';
import { EXAMPLES } from '../report/command-examples.ts';
import { print } from './print.ts';
import { type Commands, commandIn, DESCRIPTION, runProgram } from './program.ts';

const COMMANDS: Commands = table({
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
export const commandOf = (name: string, after: readonly string[]): Promise<Command> => commandIn(COMMANDS, name, after);

export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** The manual's pages, by the names of their files. */
export async function manualPages(): Promise<ReadonlyMap<string, string>> {
  const { manualPages: pagesOf } = await import('../report/manual-pages.ts');
  const commands = await Promise.all(COMMAND_NAMES.map((name) => commandOf(name, [])));
  return pagesOf({ description: DESCRIPTION, version: productVersion(), commands, examples: EXAMPLES });
}

/** Runs a command line (without the program's name) and sets the process's exit code. */
export const main = (argv: readonly string[]): Promise<void> => runProgram(argv, COMMANDS, listedCommands);
