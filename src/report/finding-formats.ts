/** Findings for where changes are reviewed: SARIF 2.1.0 (OASIS), GitHub's workflow commands, and a table in Markdown for a comment. */

import { type Finding, formatPosition, isInFile, type Level, type Mend, type Position } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';

const SARIF_LEVEL: Readonly<Record<Level, 'error' | 'warning' | 'note'>> = { Error: 'error', Warning: 'warning', Info: 'note' };
const GITHUB_COMMAND: Readonly<Record<Level, string>> = { Error: 'error', Warning: 'warning', Info: 'notice' };

/** What a rule of SARIF needs of the catalogue. */
export type Describe = (code: string) => { readonly name: string; readonly summary: string } | undefined;

export function sarif(findings: readonly Finding[], version: string, describe: Describe): string {
  const codes = [...new Set(findings.map((finding) => finding.code))].sort();
  const rules = codes.map((id) => {
    const described = describe(id);
    return { id, ...(described && { name: described.name, shortDescription: { text: described.summary } }) };
  });
  const results = findings.map(({ code, level, message, origin, position, mend }) => ({
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: SARIF_LEVEL[level],
    message: { text: `${originText(origin)}: ${message}` },
    locations: position ? [sarifLocation(position)] : [],
    ...(mend && position && isInFile(position) && { fixes: [sarifFix(position, mend)] }),
  }));
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver: { name: 'sallyport', version, rules } }, results }],
  };
  return `${JSON.stringify(log, undefined, 2)}\n`;
}

function sarifLocation(position: Position): object {
  if (!isInFile(position)) return { logicalLocations: [{ fullyQualifiedName: position.file, kind: 'resource' }] };
  return {
    physicalLocation: {
      artifactLocation: { uri: position.file },
      region: { startLine: position.line, startColumn: position.column },
    },
  };
}

function sarifFix({ file, line, column }: Position, { from, to }: Mend): object {
  const deletedRegion = { startLine: line, startColumn: column, endColumn: column + from.length };
  return {
    description: { text: `Write ${to} in place of ${from}.` },
    artifactChanges: [{ artifactLocation: { uri: file }, replacements: [{ deletedRegion, insertedContent: { text: to } }] }],
  };
}

/** One command a finding, as a step of a GitHub workflow prints it to annotate the change. */
export function githubCommands(findings: readonly Finding[]): string {
  return findings
    .map(({ code, level, message, origin, position }) => {
      const place = position && isInFile(position) ? `file=${property(position.file)},line=${position.line},col=${position.column},` : '';
      return `::${GITHUB_COMMAND[level]} ${place}title=${property(`${code} ${originText(origin)}`)}::${data(message)}\n`;
    })
    .join('');
}

/** A table with a row for each finding. */
export function markdown(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Nothing found.\n';
  const rows = findings.map(({ code, level, message, origin, position }) =>
    [level, code, message, `${originText(origin)}${position ? ` (${formatPosition(position)})` : ''}`].map(cell).join(' | '),
  );
  return `| level | what | calls | where |\n|---|---|---|---|\n${rows.map((row) => `| ${row} |\n`).join('')}`;
}

/** Nothing of the text is markup. */
function cell(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>|~#&]/g, (character) => `&#${character.charCodeAt(0)};`).replaceAll('\n', '<br>');
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
