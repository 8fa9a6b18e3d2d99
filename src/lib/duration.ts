import { table } from './table.ts';

const UNITS: Readonly<Record<string, number>> = table({ ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 });
const WHOLE = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
/** Most durations: one amount, without a fraction or a sign. */
const SIMPLE = /^(\d+)(ms|s|m|h)$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * Milliseconds of a duration in the syntax of Go and of protobuf's JSON: `1.5s`, `1h30m`, `10ms`, `0`.
 * Undefined if the text is no duration. Fractions of a millisecond are kept.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  const simple = SIMPLE.exec(text);
  if (simple) return Number(simple[1]) * UNITS[simple[2]!]!;
  if (!WHOLE.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(PART)) total += Number(amount) * UNITS[unit!]!;
  return text.startsWith('-') ? -total : total;
}

/** The shortest usual spelling of a number of milliseconds: `1.5s`, `250ms`. */
export function formatDuration(milliseconds: number): string {
  return Number.isInteger(milliseconds) && Math.abs(milliseconds) < 1000 && milliseconds !== 0
    ? `${milliseconds}ms`
    : `${milliseconds / 1000}s`;
}
