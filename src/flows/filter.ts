/** Which flows somebody wants to see: the query parameters of `GET /flows`. */
import { SallyportError } from '../lib/errors.ts';
import { type Flow, PROTOCOLS, VERDICTS } from './flow.ts';

/** A parameter that is given more than once asks for any of its values; several parameters have to hold together. */
export const PARAMETERS = ['verdict', 'host', 'process', 'protocol', 'proxy'] as const;
type Parameter = (typeof PARAMETERS)[number];
/** How many calls that have ended before are shown first: no filter, and given once. */
const LAST = 'last';
const MOST_LAST = 9999;

export type FlowFilter = (flow: Flow) => boolean;

const CHOICES: Partial<Record<Parameter, readonly string[]>> = { verdict: VERDICTS, protocol: PROTOCOLS };

/** Throws `usage` for a parameter or a value that does not exist. A verdict is known at the end of a call alone, so it leaves the beginnings out. */
export function flowFilter(query: URLSearchParams): FlowFilter {
  for (const name of query.keys())
    if (name !== LAST && !PARAMETERS.some((known) => known === name))
      throw new SallyportError('usage', `there is no filter ${name}; there are ${[...PARAMETERS, LAST].join(', ')}`);
  const tests = PARAMETERS.flatMap((name) => {
    const values = query.getAll(name);
    return values.length === 0 ? [] : [testOf(name, values)];
  });
  return (flow) => tests.every((test) => test(flow));
}

/** Throws `usage` for what is no count. */
export function lastAsked(query: URLSearchParams): number {
  const [text = '0', ...more] = query.getAll(LAST);
  const count = Number(text);
  if (more.length === 0 && /^\d+$/.test(text) && count <= MOST_LAST) return count;
  throw new SallyportError('usage', `${LAST} is a number from 0 to ${MOST_LAST}, given once, not "${text}"`);
}

function testOf(name: Parameter, values: readonly string[]): FlowFilter {
  const wrong = values.find((value) => !(CHOICES[name]?.includes(value) ?? value !== ''));
  if (wrong !== undefined) {
    const choices = CHOICES[name];
    throw new SallyportError('usage', choices ? `${name} is one of ${choices.join(', ')}, not "${wrong}"` : `${name} must not be empty`);
  }
  switch (name) {
    case 'verdict':
      return ({ verdict }) => verdict !== undefined && values.includes(verdict);
    case 'protocol':
      return ({ protocol }) => values.includes(protocol);
    case 'proxy':
      return ({ proxy }) => values.includes(proxy);
    case 'host': {
      const hosts = values.map(hostPattern);
      return ({ host }) => hosts.some((fits) => fits(host.toLowerCase()));
    }
    case 'process':
      return ({ process }) => process !== undefined && (values.includes(process.name) || values.includes(String(process.pid)));
  }
}

/** A host, or a pattern in which each `*` stands for any characters: `*.example.com`, `10.0.*`. */
function hostPattern(pattern: string): (host: string) => boolean {
  const pieces = pattern.toLowerCase().split('*');
  if (pieces.length === 1) return (host) => host === pieces[0];
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  return (host) => {
    if (host.length < first.length + last.length || !host.startsWith(first) || !host.endsWith(last)) return false;
    let at = first.length;
    for (const piece of pieces.slice(1, -1)) {
      const found = host.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= host.length - last.length;
  };
}
