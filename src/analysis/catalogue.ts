/** The catalogue as documentation: docs/findings/README.md is written from it, and a test holds the two together. */
import { DECODING_CODES } from '../api/codes.ts';
import { MESSAGES } from './messages.ts';

const INTRODUCTION = `# Findings

What \`sallyport analyze\`, \`up\` and \`proxy\` report. Codes, names and levels \`IST…\` are Istio's; \`SP0…\` concern reading, decoding and running, \`SP1…\` are
our own checks. Each finding says what is wrong, what happens to traffic because of it, and the change that mends it, with file, line and column.
Suppress one with \`--suppress CODE=ORIGIN\` or the annotation \`galley.istio.io/analyze-suppress: CODE\` on the object.
`;

/** The page, given the codes that the product reports. */
export function catalogueMarkdown(reported: ReadonlySet<string>): string {
  const all = Object.entries({ ...DECODING_CODES, ...MESSAGES });
  const row = ([code, { name, level, summary }]: (typeof all)[number]) =>
    `| ${code} | ${name} | ${level} | ${summary.replaceAll('|', '\\|')} |`;
  const table = (entries: typeof all) => ['| code | name | level | what it says |', '|---|---|---|---|', ...entries.map(row)].join('\n');
  const known = all.filter(([code]) => reported.has(code));
  const unknown = all.filter(([code]) => !reported.has(code));
  const rest = unknown.length > 0 ? `\n## Istio's codes that Sallyport does not report\n\n${table(unknown)}\n` : '';
  return `${INTRODUCTION}\n${table(known)}\n${rest}`;
}
