/** `sallyport completion`: the script by which a shell completes commands and options. */

import { Command, type Option } from 'commander';
import { SallyportError } from '../lib/errors.ts';
import { own } from '../lib/table.ts';
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
      printData(script(await commands()));
    });
}

/** One word of the command line for an option: its long form where it has one. */
function flagsOf({ long, short }: Option): string[] {
  return [long, short].flatMap((flag) => flag ?? []);
}

function optionsOf(command: Command): Option[] {
  return command.createHelp().visibleOptions(command);
}

function namesOf(command: Command): string[] {
  return [command.name(), ...command.aliases()];
}

export function bashScript(commands: readonly Command[]): string {
  const values = commands.flatMap((command) =>
    [command, ...command.commands].flatMap(optionsOf).flatMap((option) => {
      const choices = choicesOf(option);
      const patterns = namesOf(command).flatMap((name) => flagsOf(option).map((flag) => `'${name} ${flag}'`));
      return choices.length > 0
        ? [`    ${patterns.join('|')}) COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$current")); return ;;`]
        : [];
    }),
  );
  const cases = commands.flatMap((command) => {
    const words = [
      ...command.commands.flatMap(namesOf),
      ...[command, ...command.commands].flatMap((one) => optionsOf(one).flatMap(flagsOf)),
    ];
    return [`    ${namesOf(command).join('|')}) words=${quoted([...new Set(words)].join(' '))} ;;`];
  });
  const names = commands.flatMap(namesOf);
  return `# bash completion of sallyport
_sallyport() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
    ${names.join('|')}) command="$word"; break ;;
    esac
  done
  case "$command \${COMP_WORDS[COMP_CWORD-1]}" in
${[...new Set(values)].join('\n')}
  esac
  case "$command" in
    '') words=${quoted(names.join(' '))} ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  # Where nothing of that is meant, it is a path.
  if [[ -n "$command" && "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _sallyport sallyport
`;
}

export function zshScript(commands: readonly Command[]): string {
  const described = commands.flatMap((command) => namesOf(command).map((name) => `    ${quoted(`${name}:${textOf(command)}`)}`));
  const cases = commands.map((command) => {
    const specs = [command, ...command.commands].flatMap(optionsOf).flatMap((option) => {
      const text = option.description.replace(/[[\]\\]/g, ' ').replaceAll(':', ',');
      const choices = choicesOf(option);
      const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : option.required || option.optional ? ':value:_files' : '';
      return flagsOf(option).map((flag) => quoted(`*${flag}[${text}]${value}`));
    });
    const inner = command.commands.flatMap(namesOf);
    const rest = inner.length > 0 ? quoted(`*:command:(${inner.join(' ')})`) : quoted('*:path:_files');
    return `  ${namesOf(command).join('|')})\n    _arguments ${[...new Set(specs), rest].join(' \\\n      ')} ;;`;
  });
  return `#compdef sallyport
_sallyport() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${cases.join('\n')}
  esac
}
_sallyport "$@"
`;
}

export function fishScript(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => {
    const names = namesOf(command);
    const seen = quoted(`__fish_seen_subcommand_from ${names.join(' ')}`);
    const text = quoted(textOf(command));
    return [
      ...names.map((name) => `complete -c sallyport -n __fish_use_subcommand -f -a ${name} -d ${text}`),
      ...command.commands.map((one) => `complete -c sallyport -n ${seen} -f -a ${one.name()} -d ${quoted(textOf(one))}`),
      ...[command, ...command.commands].flatMap(optionsOf).map((option) => {
        const long = option.long ? ` -l ${option.long.replace(/^--/, '')}` : '';
        const short = option.short ? ` -s ${option.short.replace(/^-/, '')}` : '';
        const choices = choicesOf(option);
        const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : option.required || option.optional ? ' -r' : '';
        return `complete -c sallyport -n ${seen}${long}${short}${value} -d ${quoted(option.description)}`;
      }),
    ];
  });
  return `# fish completion of sallyport\n${[...new Set(lines)].join('\n')}\n`;
}

function textOf(command: Command): string {
  return command.summary() || command.description();
}

/** As one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
