/** Findings in order, and in the form for programs. */
import { type Finding, formatPosition, type Level, type Mend, type Position } from './finding.ts';
import { originText } from './origin.ts';

/** The stable form for programs. */
export interface FindingJson {
  readonly code: string;
  readonly level: Level;
  readonly message: string;
  readonly origin: string;
  /** `file:line:column`. */
  readonly reference?: string;
  readonly documentationUrl?: string;
  /** At the reference stands `from`, and is to be `to`. */
  readonly mend?: Mend;
}

export function findingJson(finding: Finding): FindingJson {
  const { code, level, message, origin, position, mend } = finding;
  return {
    code,
    level,
    message,
    origin: originText(origin),
    ...(position && { reference: formatPosition(position) }),
    ...(code.startsWith('IST') && { documentationUrl: `https://istio.io/latest/docs/reference/config/analysis/${code.toLowerCase()}/` }),
    ...(mend && { mend }),
  };
}

const ORDER: Readonly<Record<Level, number>> = { Error: 0, Warning: 1, Info: 2 };

/** Whether findings of this level are as grave as those of the other. */
export function atLeast(level: Level, threshold: Level): boolean {
  return ORDER[level] <= ORDER[threshold];
}

/** Errors first, then by place, then by text; each once. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const sorted = [...findings].sort(compareFindings);
  return sorted.filter((finding, i) => i === 0 || compareFindings(sorted[i - 1]!, finding) !== 0);
}

function compareFindings(a: Finding, b: Finding): number {
  return (
    ORDER[a.level] - ORDER[b.level] ||
    comparePlaces(a.position, b.position) ||
    compare(a.code, b.code) ||
    compare(a.message, b.message) ||
    compare(originText(a.origin), originText(b.origin))
  );
}

/** What has no place comes first. */
function comparePlaces(a: Position | undefined, b: Position | undefined): number {
  if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0);
  return compare(a.file, b.file) || a.line - b.line || a.column - b.column;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
