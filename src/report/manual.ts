/** Manual pages, in the macros of man(7). */

export interface ManualPage {
  /** Words of the command, e.g. `sallyport run`. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly usage: string;
  readonly description: string;
  readonly sections: readonly ManualSection[];
  readonly examples: readonly string[];
  /** Names of other pages. */
  readonly seeAlso: readonly string[];
}

export interface ManualSection {
  readonly heading: string;
  readonly entries: readonly ManualEntry[];
}

export interface ManualEntry {
  readonly term: string;
  readonly text: string;
}

/** The name of the page, without its section. */
export function manualName({ words }: Pick<ManualPage, 'words'>): string {
  return words.join('-');
}

/** Without a date, so that the same sources give the same pages. */
export function manualText(page: ManualPage, version: string): string {
  const name = manualName(page);
  const lines = [
    `.TH ${quoted(name.toUpperCase())} 1 "" ${quoted(`sallyport ${version}`)} "Sallyport"`,
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(page.summary)}`,
    '.SH SYNOPSIS',
    `.B ${escaped(page.words.join(' '))}`,
    paragraph(page.usage),
    '.SH DESCRIPTION',
    paragraph(page.description),
    ...page.sections.filter(({ entries }) => entries.length > 0).flatMap(sectionLines),
    ...(page.examples.length > 0
      ? ['.SH EXAMPLES', ...page.examples.flatMap((example, i) => [i > 0 ? '.PP' : '', '.EX', paragraph(example), '.EE'])]
      : []),
    ...(page.seeAlso.length > 0 ? ['.SH SEE ALSO', page.seeAlso.map((other) => `.BR ${escaped(other)} (1)`).join(' ,\n')] : []),
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

function sectionLines({ heading, entries }: ManualSection): string[] {
  return [
    `.SH ${quoted(heading.toUpperCase())}`,
    ...entries.flatMap(({ term, text }) => ['.TP', `.B ${escaped(term)}`, paragraph(text || '\u00a0')]),
  ];
}

/** Text that begins a line: a dot or an apostrophe there would be a request. */
function paragraph(text: string): string {
  return text
    .split('\n')
    .map((line) => escaped(line.trim()).replace(/^(?=[.'])/, '\\&'))
    .filter((line) => line !== '')
    .join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replaceAll('"', '\\(dq');
}

/** An argument of a macro. */
function quoted(text: string): string {
  return `"${escaped(text)}"`;
}
