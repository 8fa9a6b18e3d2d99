/**
 * What of a request is made by chance or time, or differs from caller to caller: request ids, addresses, what retries change. Simulation works a request out
 * twice, with other ids, addresses and times: what comes out differently varies, and nothing may be said from its exact value.
 */

import type { Head } from '../http/head.ts';
import type { HeaderMap } from '../http/header-map.ts';
import { compileHeaderMatchers } from '../http/routes/header.ts';
import { compilePath, withoutQuery } from '../http/routes/path.ts';
import type { CompiledRoute, CompiledVirtualHost } from '../http/routes/route.ts';
import { table } from '../lib/table.ts';
import type { HeaderMatcher, RouteMatch } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { StringMatcher } from '../xds/gen/envoy/type/matcher/v3/string_pb.js';

/** What is known of every value that a varying field may have; it is never empty. */
interface Form {
  /** Characters of which it consists. */
  readonly alphabet: RegExp;
  readonly whole: RegExp;
  /** Expressions, beside `.+` and `.*`, that match all of them. */
  readonly matchedBy: readonly string[];
}

const REQUEST_ID: Form = {
  alphabet: /^[0-9a-f-]*$/,
  whole: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  matchedBy: ['[0-9a-f-]+', '[0-9a-f-]*', '[0-9a-f-]{36}', '[0-9a-fA-F-]+', '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'],
};
const NUMBER: Form = { alphabet: /^\d*$/, whole: /^\d+$/, matchedBy: ['\\d+', '[0-9]+', '\\d*', '[0-9]*'] };
const ANYTHING: Form = { alphabet: /^/, whole: /^/, matchedBy: [] };

/** Fields whose values proxies make; a field that varies and is none of these may even be missing. */
const FORMS: Readonly<Record<string, Form>> = table({
  'x-request-id': REQUEST_ID,
  'x-envoy-attempt-count': NUMBER,
  'x-envoy-expected-rq-timeout-ms': NUMBER,
  'x-forwarded-for': ANYTHING,
  'x-envoy-external-address': ANYTHING,
  'x-forwarded-client-cert': ANYTHING,
});

/** Names of the fields that differ, sorted. */
export function varyingFields(a: HeaderMap, b: HeaderMap): string[] {
  const names = new Set([...a, ...b].map(([name]) => name));
  return [...names].filter((name) => !sameValues(a.all(name), b.all(name))).sort();
}

function sameValues(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** A request of which `other` is what it may be as well. */
export interface Valued {
  readonly head: Head;
  readonly other: Head;
}

/** Fields by whose exact value some route is chosen or passed over, up to the one that `head` takes; none where the choice is the same for every value. */
export function decidingFields({ routes }: CompiledVirtualHost, taken: CompiledRoute | undefined, { head, other }: Valued): string[] {
  const names = new Set(varyingFields(head.headers, other.headers));
  if (names.size === 0) return [];
  for (const route of routes) {
    const match = route.config?.match;
    const own = match?.headers.filter(({ name }) => names.has(name.toLowerCase())) ?? [];
    if (match && own.length > 0) {
      const verdicts = own.map((matcher) => judge(matcher, head.headers, other.headers));
      if (!verdicts.includes('never') && verdicts.includes('depends') && mayTake(match, head, names)) {
        return own.filter((_, i) => verdicts[i] === 'depends').map(({ name }) => name.toLowerCase());
      }
    }
    if (route === taken) break;
  }
  return [];
}

/** Whether the route takes the request, its varying fields aside. */
function mayTake(match: RouteMatch, head: Head, varying: ReadonlySet<string>): boolean {
  const rest = compileHeaderMatchers(match.headers.filter(({ name }) => !varying.has(name.toLowerCase())));
  if (rest && !rest(head)) return false;
  return head.path === '' || compilePath(match).test(withoutQuery(head.path));
}

type Verdict = 'always' | 'never' | 'depends';

function judge(matcher: HeaderMatcher, a: HeaderMap, b: HeaderMap): Verdict {
  const name = matcher.name.toLowerCase();
  const values = [a.get(name), b.get(name)];
  const form = FORMS[name];
  if (form === undefined || !values.every((value) => value !== undefined && value !== '' && form.whole.test(value))) return 'depends';
  const { headerMatchSpecifier: specifier, invertMatch } = matcher;
  const present = specifier.case === undefined || specifier.case === 'presentMatch';
  const verdict = present ? (specifier.case === undefined || specifier.value ? 'always' : 'never') : judgeValue(specifier, form);
  if (!invertMatch || verdict === 'depends') return verdict;
  return verdict === 'always' ? 'never' : 'always';
}

type ValueSpecifier = Exclude<HeaderMatcher['headerMatchSpecifier'], { case: undefined } | { case: 'presentMatch' }>;

function judgeValue(specifier: ValueSpecifier, form: Form): Verdict {
  switch (specifier.case) {
    case 'stringMatch':
      return judgeText(specifier.value.matchPattern, specifier.value.ignoreCase, form);
    case 'safeRegexMatch':
      return judgeText({ case: 'safeRegex', value: specifier.value }, false, form);
    case 'exactMatch':
      return judgeText({ case: 'exact', value: specifier.value }, false, form);
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return judgeText({ case: 'contains', value: specifier.value }, false, form);
    case 'rangeMatch':
      return form === REQUEST_ID ? 'never' : 'depends';
  }
}

function judgeText(pattern: StringMatcher['matchPattern'], ignoreCase: boolean, form: Form): Verdict {
  switch (pattern.case) {
    case 'exact':
      return form.whole.test(ignoreCase ? pattern.value.toLowerCase() : pattern.value) && pattern.value !== '' ? 'depends' : 'never';
    case 'prefix':
    case 'suffix':
    case 'contains':
      if (pattern.value === '') return 'always';
      return form.alphabet.test(ignoreCase ? pattern.value.toLowerCase() : pattern.value) ? 'depends' : 'never';
    case 'safeRegex': {
      const { regex } = pattern.value;
      return regex === '.+' || regex === '.*' || form.matchedBy.includes(regex) ? 'always' : 'depends';
    }
    default:
      return 'depends';
  }
}
