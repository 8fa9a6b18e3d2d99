/** What all commands have in common: how a command line is read and run, and what comes of its failure. */

import { Command, CommanderError, Help, type Option } from 'commander';
import { codeOf } from '../lib/errors.ts';
import { productVersion } from '../lib/version.ts';
import { EXAMPLES } from '../report/command-examples.ts';
import { describeFailure, EXIT } from './exit.ts';
import { printError } from './print.ts';

/** By name. `after` is what stands after `--`: the command that `run` runs. */
export type Commands = Readonly<Record<string, (after: readonly string[]) => Promise<Command>>>;

export const DESCRIPTION = "An egress gateway and service mesh that speaks Istio's API.";

/** A command by its name, with what all have in their help. */
export async function commandIn(commands: Commands, name: string, after: readonly string[]): Promise<Command> {
  const command = await commands[name]!(after);
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

/**
 * Runs a command line (without the program's name) and sets the process's exit code.
 * @param listed all of them, as the help of a command line lists them that names none
 */
export async function runProgram(
  argv: readonly string[],
  commands: Commands,
  listed: (after: readonly string[]) => Promise<readonly Command[]>,
): Promise<void> {
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
  const asked = own.find((word) => Object.hasOwn(commands, word));
  for (const command of asked ? [await commandIn(commands, asked, after)] : await listed(after)) program.addCommand(command);
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
