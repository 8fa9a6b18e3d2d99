/** The catalogue as documentation: docs/findings/README.md is written from it, and a test holds the two together. */
import { DECODING_CODES } from '../api/codes.ts';
import { MESSAGES } from './messages.ts';

const INTRODUCTION = `# Findings

What \`sallyport analyze\`, \`up\` and \`proxy\` report. Codes, names and levels \`IST…\` are Istio's; \`SP0…\` concern reading, decoding and running, \`SP1…\` are
our own checks. Each finding says what is wrong, what happens to traffic because of it, and the change that mends it, with file, line and column.
Where the change is one word for another, \`-o json\` has it as \`mend\` (\`from\`, at the reference, and \`to\`), and \`-o sarif\` as \`fixes\`. Every change is made by a test (\`test/mends\`).
Suppress one with \`--suppress CODE=ORIGIN\` or the annotation \`galley.istio.io/analyze-suppress: CODE\` on the object.

[Beside \`istioctl analyze\`](istioctl.md): where the two differ, and which codes files can't decide.
`;

/** The page. */
export function catalogueMarkdown(): string {
  const rows = Object.entries({ ...DECODING_CODES, ...MESSAGES })
    .map(([code, { name, level, summary }]) => `| ${code} | ${name} | ${level} | ${summary.replaceAll('|', '\\|')} |`)
    .sort();
  return `${INTRODUCTION}\n${['| code | name | level | what it says |', '|---|---|---|---|', ...rows].join('\n')}\n`;
}
