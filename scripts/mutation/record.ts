import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Mutant } from './mutants.ts';

/** `late`: tests hung, and on the unchanged tree as well, so that the machine was too slow to tell. `refused`: the types do not allow it. */
export type Verdict = 'killed' | 'SURVIVED' | 'equivalent' | 'late' | 'refused';

/** A change as people find it. */
export interface Described {
  /** The line that it is in, without the space round it. */
  readonly line: string;
  /** Where in that, from 1. */
  readonly column: number;
  readonly place: string;
  readonly change: string;
  /** The same as long as the line and those like it in its file are. */
  readonly key: string;
}

const short = (text: string) => {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 90 ? `${line.slice(0, 89)}…` : line;
};

/** @param text the file's */
export function described({ file, start, end, replacement }: Mutant, text: string): Described {
  const before = text.slice(0, start).split('\n');
  const lines = text.split('\n').map((each) => each.trim());
  const line = lines[before.length - 1]!;
  const change = `${short(text.slice(start, end))} → ${short(replacement)}`;
  const column = before.at(-1)!.trimStart().length;
  const alike = lines.slice(0, before.length - 1).filter((each) => each === line).length;
  return {
    line,
    column: column + 1,
    place: `${file}:${before.length}:${before.at(-1)!.length + 1}`,
    change,
    key: JSON.stringify([file, line, alike, column, change]),
  };
}

/** What earlier runs found, one line of JSON each, the last word on a change being the one that counts. */
export class Record {
  private readonly path: string | undefined;
  private readonly verdicts = new Map<string, Verdict>();

  /** @param path kept nowhere where there is none */
  constructor(path: string | undefined) {
    this.path = path;
    if (path === undefined || !existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const { key, verdict } = JSON.parse(line) as { readonly key: string; readonly verdict: Verdict };
      this.verdicts.set(key, verdict);
    }
  }

  of(key: string): Verdict | undefined {
    return this.verdicts.get(key);
  }

  add(key: string, verdict: Verdict): void {
    if (this.path !== undefined) appendFileSync(this.path, `${JSON.stringify({ key, verdict })}\n`);
  }
}
