/** What `describe` answers, as text. */
import type { Description } from '../prove/describe.ts';

export function descriptionText({ subject, sections }: Description): string {
  const parts = sections.map(({ heading, lines }) => {
    const text = lines.length > 0 ? lines.map((line) => `  ${line}\n`).join('') : '  none\n';
    return `\n${heading}\n${text}`;
  });
  return `${subject}\n${parts.join('')}`;
}
