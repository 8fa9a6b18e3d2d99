/** What `migrate check` answers, as text. */
import type { Outcome, Unserved } from '../analysis/migration.ts';

const HEADINGS: Readonly<Record<Outcome, string>> = {
  refused: 'Refused here: what it concerns is refused rather than run otherwise',
  'no effect': 'Without effect here: the mesh runs as if it were not there',
  'not read': 'Not read here: objects of these kinds are skipped',
};

/** @param objects how many were read */
export function migrationText(unserved: readonly Unserved[], objects: number): string {
  const read = `${objects} ${objects === 1 ? 'object' : 'objects'} read`;
  if (unserved.length === 0) return `All that is used is served here: ${read}.\n`;
  const parts = [...Map.groupBy(unserved, ({ outcome }) => outcome)].map(
    ([outcome, of]) => `${HEADINGS[outcome]}\n${of.map(({ object, what }) => `  ${object}: ${what}\n`).join('')}`,
  );
  return `${parts.join('\n')}\n${unserved.length} in all: ${read}\n`;
}
