/** The scripts by which shells complete commands, options and the values that these may have. */

export interface CompletedOption {
  /** As they are written: the long form first, where there is one. */
  readonly flags: readonly string[];
  readonly text: string;
  readonly takesValue: boolean;
  /** What its value may be; empty: a path. */
  readonly choices: readonly string[];
}

export interface CompletedCommand {
  /** Its name and its aliases. */
  readonly names: readonly string[];
  readonly text: string;
  readonly options: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
}

/** Its own options and those of its subcommands. */
function allOptions({ options, commands }: CompletedCommand): CompletedOption[] {
  return [...options, ...commands.flatMap((command) => command.options)];
}

function subNames({ commands }: CompletedCommand): string[] {
  return commands.flatMap(({ names }) => names);
}

export function bashScript(commands: readonly CompletedCommand[]): string {
  const values = commands.flatMap((command) =>
    allOptions(command)
      .filter(({ choices }) => choices.length > 0)
      .map(({ flags, choices }) => {
        const patterns = command.names.flatMap((name) => flags.map((flag) => `'${name} ${flag}'`));
        return `    ${patterns.join('|')}) COMPREPLY=($(compgen -W ${quoted(choices.join(' '))} -- "$current")); return ;;`;
      }),
  );
  const cases = commands.map((command) => {
    const words = [...subNames(command), ...allOptions(command).flatMap(({ flags }) => flags)];
    return `    ${command.names.join('|')}) words=${quoted([...new Set(words)].join(' '))} ;;`;
  });
  const names = commands.flatMap((command) => command.names);
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

export function zshScript(commands: readonly CompletedCommand[]): string {
  const described = commands.flatMap(({ names, text }) => names.map((name) => `    ${quoted(`${name}:${text}`)}`));
  const cases = commands.map((command) => {
    const specs = allOptions(command).flatMap(({ flags, text, choices, takesValue }) => {
      const plain = text.replace(/[[\]\\]/g, ' ').replaceAll(':', ',');
      const value = choices.length > 0 ? `:value:(${choices.join(' ')})` : takesValue ? ':value:_files' : '';
      return flags.map((flag) => quoted(`*${flag}[${plain}]${value}`));
    });
    const inner = subNames(command);
    const rest = inner.length > 0 ? quoted(`*:command:(${inner.join(' ')})`) : quoted('*:path:_files');
    return `  ${command.names.join('|')})\n    _arguments ${[...new Set(specs), rest].join(' \\\n      ')} ;;`;
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

export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => {
    const seen = quoted(`__fish_seen_subcommand_from ${command.names.join(' ')}`);
    return [
      ...command.names.map((name) => `complete -c sallyport -n __fish_use_subcommand -f -a ${name} -d ${quoted(command.text)}`),
      ...command.commands.map(({ names: [name], text }) => `complete -c sallyport -n ${seen} -f -a ${name} -d ${quoted(text)}`),
      ...allOptions(command).map(({ flags, text, choices, takesValue }) => {
        const written = flags.map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`)).join('');
        const value = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : takesValue ? ' -r' : '';
        return `complete -c sallyport -n ${seen}${written}${value} -d ${quoted(text)}`;
      }),
    ];
  });
  return `# fish completion of sallyport\n${[...new Set(lines)].join('\n')}\n`;
}

/** As one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
