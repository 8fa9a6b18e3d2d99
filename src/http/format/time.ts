/** Dates in the notation of strftime with Envoy's additions: `%s`, `%f`, `%1f` to `%9f`, `%E3S`. UTC. */
import { SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';

/** Formats milliseconds since the epoch. */
type TimeFormatter = (epochMs: number) => string;

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];

const two = (value: number) => (value < 10 ? `0${value}` : String(value));
const blank = (value: number) => (value < 10 ? ` ${value}` : String(value));
const hour12 = (date: Date) => date.getUTCHours() % 12 || 12;
const yearDay = (date: Date) =>
  Math.floor((Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000);

/** Nanoseconds of the second as nine digits, cut to `digits`. */
function fraction(epochMs: number, digits: number): string {
  const nanos = Math.floor((epochMs - Math.floor(epochMs / 1000) * 1000) * 1e6);
  return String(nanos).padStart(9, '0').slice(0, digits);
}

const FIELDS: Readonly<Record<string, (date: Date, epochMs: number) => string>> = table({
  Y: (d) => String(d.getUTCFullYear()),
  y: (d) => two(d.getUTCFullYear() % 100),
  C: (d) => two(Math.floor(d.getUTCFullYear() / 100)),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  e: (d) => blank(d.getUTCDate()),
  H: (d) => two(d.getUTCHours()),
  I: (d) => two(hour12(d)),
  k: (d) => blank(d.getUTCHours()),
  l: (d) => blank(hour12(d)),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  p: (d) => (d.getUTCHours() < 12 ? 'AM' : 'PM'),
  P: (d) => (d.getUTCHours() < 12 ? 'am' : 'pm'),
  a: (d) => DAYS[d.getUTCDay()]!.slice(0, 3),
  A: (d) => DAYS[d.getUTCDay()]!,
  b: (d) => MONTHS[d.getUTCMonth()]!.slice(0, 3),
  h: (d) => MONTHS[d.getUTCMonth()]!.slice(0, 3),
  B: (d) => MONTHS[d.getUTCMonth()]!,
  j: (d) => String(yearDay(d) + 1).padStart(3, '0'),
  u: (d) => String(d.getUTCDay() || 7),
  w: (d) => String(d.getUTCDay()),
  s: (_, ms) => String(Math.floor(ms / 1000)),
  f: (_, ms) => fraction(ms, 9),
  z: () => '+0000',
  Z: () => 'UTC',
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
});

const COMPOSED: Readonly<Record<string, string>> = table({
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  r: '%I:%M:%S %p',
  c: '%a %b %e %H:%M:%S %Y',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
});

/** Throws `xds-invalid` for a conversion that is not known. */
export function compileTimeFormat(format: string): TimeFormatter {
  const parts: (string | ((date: Date, epochMs: number) => string))[] = [];
  const pattern = /%(?:([1-9])f|E([0-9*])([Sf])|E([zZ])|(.))|[^%]+/gs;
  for (const match of format.replace(/%([DFTRrcxX])/g, (_, letter: string) => COMPOSED[letter]!).matchAll(pattern)) {
    const [text, digits, extended, kind, zone, letter] = match;
    if (digits) parts.push((_, ms) => fraction(ms, Number(digits)));
    else if (extended) {
      const count = extended === '*' ? 9 : Number(extended);
      if (kind === 'f') parts.push((_, ms) => fraction(ms, count));
      else parts.push((date, ms) => (count === 0 ? two(date.getUTCSeconds()) : `${two(date.getUTCSeconds())}.${fraction(ms, count)}`));
    } else if (zone) parts.push('+00:00');
    else if (letter !== undefined) {
      const field = FIELDS[letter];
      if (!field) throw new SallyportError('xds-invalid', `time format "${format}": "%${letter}" is not known`);
      parts.push(field);
    } else parts.push(text);
  }
  return (epochMs) => {
    const date = new Date(epochMs);
    let out = '';
    for (const part of parts) out += typeof part === 'string' ? part : part(date, epochMs);
    return out;
  };
}

/** `2026-11-21T13:05:52.123Z`, START_TIME's default. */
export function isoTime(): TimeFormatter {
  let second = -1;
  let prefix = '';
  return (epochMs) => {
    const now = Math.floor(epochMs / 1000);
    if (now !== second) {
      second = now;
      prefix = new Date(now * 1000).toISOString().slice(0, 20);
    }
    const ms = Math.floor(epochMs - now * 1000);
    return `${prefix}${ms < 10 ? `00${ms}` : ms < 100 ? `0${ms}` : ms}Z`;
  };
}
