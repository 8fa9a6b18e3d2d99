/** The manual: a page for the program and one for each command, of the same description that `--help` is made of. */
import type { Command } from 'commander';
import { type ManualPage, type ManualSection, manualName, manualText } from './manual.ts';

/** What exit codes mean; `run` has one of its own. */
const EXIT_STATUS: ManualSection = {
  heading: 'Exit status',
  entries: [
    { term: '0', text: 'It is as it should be.' },
    { term: '1', text: 'Findings of level Error, or a check that failed.' },
    { term: '2', text: 'The command line is wrong.' },
    { term: '3', text: 'It could not be done. What is wrong is said.' },
    { term: 'else', text: 'Of sallyport run: that of its command.' },
  ],
};

export interface Described {
  readonly description: string;
  readonly version: string;
  /** Every command of the program. */
  readonly commands: readonly Command[];
  /** Command lines that show a command at work, by its name. */
  readonly examples: Readonly<Record<string, readonly string[]>>;
}

/** The pages' texts, by the names of their files. */
export function manualPages({ description, version, commands, examples }: Described): ReadonlyMap<string, string> {
  const pages = [overview(description, commands), ...commands.map((command) => pageOf(command, examples[command.name()] ?? []))];
  return new Map(pages.map((page) => [`${manualName(page)}.1`, manualText(page, version)]));
}

function overview(description: string, commands: readonly Command[]): ManualPage {
  const entries = commands.map((command) => ({ term: `sallyport ${command.name()}`, text: summaryOf(command) }));
  return {
    words: ['sallyport'],
    summary: uncapitalised(description),
    usage: '<command> [options]',
    description: 'It proves what resources do, runs them, and serves them to Envoys. Each command has a page of its own.',
    sections: [{ heading: 'Commands', entries }, EXIT_STATUS],
    examples: [],
    seeAlso: commands.map((command) => `sallyport-${command.name()}`),
  };
}

function pageOf(command: Command, examples: readonly string[]): ManualPage {
  const help = command.createHelp();
  const options = (one: Command) =>
    help.visibleOptions(one).map((option) => ({ term: help.optionTerm(option), text: help.optionDescription(option) }));
  const inner = command.commands.filter((one) => one.name() !== 'help');
  return {
    words: ['sallyport', command.name()],
    summary: summaryOf(command),
    usage: command.usage(),
    description: command.description(),
    sections: [
      {
        heading: 'Arguments',
        entries: help.visibleArguments(command).map((one) => ({ term: help.argumentTerm(one), text: help.argumentDescription(one) })),
      },
      { heading: 'Commands', entries: inner.map((one) => ({ term: help.subcommandTerm(one), text: help.subcommandDescription(one) })) },
      { heading: 'Options', entries: options(command) },
      ...inner.map((one) => ({ heading: `Options of ${one.name()}`, entries: options(one) })),
    ],
    examples,
    seeAlso: ['sallyport'],
  };
}

/** One line, as `--help` has it; of a description its first sentence. */
function summaryOf(command: Command): string {
  return command.summary() || uncapitalised(command.description().split(/(?<=[.:]) /)[0]!);
}

function uncapitalised(text: string): string {
  return `${text[0]!.toLowerCase()}${text.slice(1)}`.replace(/[.:]$/, '');
}
