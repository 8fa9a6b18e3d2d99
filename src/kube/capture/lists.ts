/** Which traffic is captured, as annotations and options say it: lists divided by commas. */
import { parseRange } from '../../lib/ip.ts';

/** `*`: all there are. */
export type Listed = '*' | readonly string[];

export type ReadList = { readonly entries: Listed } | { readonly problem: string };

/** @param all whether `*` may stand for all ports */
export function portList(text: string, all: 'or all' | 'listed'): ReadList {
  if (text.trim() === '*' && all === 'or all') return { entries: '*' };
  const ports = parts(text);
  const wrong = ports.find((port) => !/^\d{1,5}$/.test(port) || Number(port) > 65_535);
  if (wrong !== undefined) return { problem: `"${wrong}" is no port: name ports divided by commas, as 80,443` };
  return { entries: ports.map((port) => String(Number(port))) };
}

/** Ranges of addresses. @param all whether `*` may stand for all addresses */
export function rangeList(text: string, all: 'or all' | 'listed'): ReadList {
  if (text.trim() === '*' && all === 'or all') return { entries: '*' };
  const ranges = parts(text);
  const wrong = ranges.find((range) => !range.includes('/') || !parseRange(range));
  if (wrong !== undefined) return { problem: `"${wrong}" is no CIDR range: name ranges divided by commas, as 10.0.0.0/8,fd00::/8` };
  return { entries: ranges };
}

function parts(text: string): string[] {
  return text.split(',').flatMap((part) => part.trim() || []);
}
