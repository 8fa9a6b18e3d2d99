/** `sallyport completion`: the script by which a shell completes commands and options. */

import { Command } from 'commander';
import { SallyportError } from '../lib/errors.ts';
import { own } from '../lib/table.ts';
import { bashScript, type CompletedCommand, fishScript, zshScript } from '../report/completion.ts';
import { choicesOf } from './options.ts';
import { printData } from './print.ts';

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

/** @param commands loads every command of the program */
export function completionCommand(commands: () => Promise<readonly Command[]>): Command {
  return new Command('completion')
    .summary('print the script by which a shell completes commands')
    .description(
      'Prints the script for bash, zsh or fish. For this session of bash: source <(sallyport completion bash); of fish: sallyport completion fish | source; for zsh, write it to a file _sallyport on the fpath.',
    )
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const script = own(SHELLS, shell);
      if (!script) throw new SallyportError('usage', `"${shell}" is not known: it is bash, zsh or fish`);
      printData(script((await commands()).map(completed)));
    });
}

/** What shells need to know of a command. */
export function completed(command: Command): CompletedCommand {
  return {
    names: [command.name(), ...command.aliases()],
    text: command.summary() || command.description(),
    options: command
      .createHelp()
      .visibleOptions(command)
      .map((option) => ({
        flags: [option.long, option.short].flatMap((flag) => flag ?? []),
        text: option.description,
        takesValue: option.required || option.optional,
        choices: choicesOf(option),
      })),
    commands: command.commands.map(completed),
  };
}
