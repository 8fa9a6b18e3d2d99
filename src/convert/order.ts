/** Rules of a VirtualService hold in the order in which they are written, those of an HTTPRoute in one that their matches decide. */
import { table } from '../lib/table.ts';

interface ApiMatch {
  readonly path: { readonly type: string; readonly value: string };
  readonly method?: string;
  readonly headers?: readonly object[];
  readonly queryParams?: readonly object[];
}

interface OrderedRule {
  /** Of the rule among the VirtualService's. */
  readonly index: number;
  /** As the HTTPRoute has them; undefined: everything. */
  readonly matches: readonly object[] | undefined;
}

interface Entry {
  readonly index: number;
  readonly match: ApiMatch;
  readonly written: number;
}

const EVERYTHING: ApiMatch = { path: { type: 'PathPrefix', value: '/' } };

interface Ordered {
  readonly written: readonly Entry[];
  readonly sorted: readonly Entry[];
}

/**
 * Beside a regular expression what takes every path is one too: a prefix would come before it. The shortest comes last.
 * @returns the rules as they were, if they have none
 */
export function rulesInOneRank(rules: readonly object[]): readonly object[] {
  const matchesOf = (rule: object) => (rule as { readonly matches?: readonly ApiMatch[] }).matches ?? [EVERYTHING];
  if (!rules.some((rule) => matchesOf(rule).some(({ path }) => path.type === 'RegularExpression'))) return rules;
  return rules.map((rule) => {
    const matches = matchesOf(rule).map((match) =>
      isEveryPath(match) ? { ...match, path: { type: 'RegularExpression', value: '/.*' } } : match,
    );
    return Object.assign({ matches }, rule, { matches });
  });
}

function isEveryPath({ path }: ApiMatch): boolean {
  return path.type === 'PathPrefix' && path.value === '/';
}

/** One entry a match, as written and as an HTTPRoute tries them. */
export function inApiOrder(rules: readonly OrderedRule[]): Ordered {
  const all = rules.flatMap(({ index, matches }) => (matches ?? [EVERYTHING]).map((match) => ({ index, match: match as ApiMatch })));
  const written = all.map((entry, position) => ({ ...entry, written: position }));
  return { written, sorted: [...written].sort((a, b) => compare(a.match, b.match)) };
}

const REASON =
  'an HTTPRoute would try this rule before one above it: exact paths come first, then prefixes of segments, then regular expressions ' +
  '(among them the prefixes of characters that a VirtualService has), and of each the longer first';

const RANKS: Readonly<Record<string, number>> = table({ Exact: 3, PathPrefix: 2, RegularExpression: 1 });

function compare(a: ApiMatch, b: ApiMatch): number {
  const keys: readonly ((match: ApiMatch) => number)[] = [
    ({ path }) => RANKS[path.type] ?? 0,
    ({ path }) => path.value.length,
    ({ method }) => Number(method !== undefined),
    ({ headers = [] }) => headers.length,
    ({ queryParams = [] }) => queryParams.length,
  ];
  for (const key of keys) if (key(a) !== key(b)) return key(b) - key(a);
  return 0;
}

/**
 * The first rule that an HTTPRoute would try before a rule above it that matches some of the same requests; undefined if both orders give the same
 * result. A rule that matches everything also comes before regular expressions, and rules after it are not compared.
 */
export function orderProblem({ written, sorted }: Ordered): { readonly index: number; readonly reason: string } | undefined {
  const position = new Map(sorted.map((entry, index) => [entry, index]));
  for (const [at, first] of written.entries()) {
    for (const second of written.slice(at + 1)) {
      // In either order no request gets past a rule that matches everything.
      if (first.index === second.index || isCatchAll(first.match) || disjoint(first.match, second.match)) continue;
      if (position.get(second)! < position.get(first)!) {
        return { index: second.index, reason: REASON };
      }
    }
  }
  return undefined;
}

function isCatchAll({ path, method, headers = [], queryParams = [] }: ApiMatch): boolean {
  return isEveryPath({ path }) && method === undefined && headers.length + queryParams.length === 0;
}

/** Whether no request can meet both, as far as paths and methods tell. */
function disjoint(a: ApiMatch, b: ApiMatch): boolean {
  if (a.method !== undefined && b.method !== undefined && a.method !== b.method) return true;
  const [exact, other] = a.path.type === 'Exact' ? [a.path, b.path] : [b.path, a.path];
  if (exact.type === 'Exact') {
    if (other.type === 'Exact') return exact.value !== other.value;
    if (other.type === 'RegularExpression')
      return literalPrefix(other.value) !== undefined && !exact.value.startsWith(literalPrefix(other.value)!);
    return false;
  }
  const [left, right] = [literalPrefix(a.path.value), literalPrefix(b.path.value)];
  if (a.path.type !== 'RegularExpression' || b.path.type !== 'RegularExpression' || left === undefined || right === undefined) return false;
  return !left.startsWith(right) && !right.startsWith(left);
}

/** The literal text at the start of an expression that allows anything after it. */
function literalPrefix(expression: string): string | undefined {
  const [, text] = /^((?:[^.*+?^${}()|[\]\\]|\\[.*+?^${}()|[\]\\])*)\.\*$/.exec(expression) ?? [];
  return text?.replace(/\\(.)/g, '$1');
}
