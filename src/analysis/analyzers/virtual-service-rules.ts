import type { HttpMatchRequest, L4MatchAttributes, ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import type { Context } from '../context.ts';
import { httpMatchCovers, l4MatchCovers, tlsMatchCovers } from '../match-covers.ts';

const EMPTY_LIST: readonly never[] = [];
/** A rule without `match` takes everything, as one empty match would. */
const ANYTHING: HttpMatchRequest = {
  headers: {},
  sourceLabels: {},
  gateways: EMPTY_LIST,
  queryParams: {},
  ignoreUriCase: false,
  withoutHeaders: {},
};

interface Rule<M> {
  readonly path: readonly PathStep[];
  readonly matches: readonly M[];
  readonly explicit: boolean;
}

/** IST0130, IST0131: rules and matches whose traffic earlier rules of the same VirtualService take already. */
export function virtualServiceRules(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { http, tls, tcp, gateways } = virtualService.spec;
    const httpRules: Rule<HttpMatchRequest>[] = http.map((route, i) => ({
      path: ['spec', 'http', i],
      matches: route.match.length > 0 ? route.match : [ANYTHING],
      explicit: route.match.length > 0,
    }));
    check(context, virtualService, httpRules, (a, b) => httpMatchCovers(a, b, gateways));
    const tlsRules = tls.map((route, i) => ({ path: ['spec', 'tls', i], matches: route.match, explicit: true }));
    check(context, virtualService, tlsRules, (a, b) => tlsMatchCovers(a, b, gateways));
    const anything = { ...ANYTHING, destinationSubnets: EMPTY_LIST };
    const tcpRules: Rule<L4MatchAttributes>[] = tcp.map((route, i) => ({
      path: ['spec', 'tcp', i],
      matches: route.match.length > 0 ? route.match : [anything],
      explicit: route.match.length > 0,
    }));
    check(context, virtualService, tcpRules, (a, b) => l4MatchCovers(a, b, gateways));
  }
}

/** The order of rules is not the user's here, so their numbers would say nothing. */
const NEVER_REACHED =
  'This match is never reached: others of the host take all of its traffic before it. Whatever the order in which they are written, exact paths come first, then prefixes, then regular ' +
  'expressions (so beside a regular expression write what is to take the rest as the regular expression /.*), and of two that are alike the older route’s. Narrow the other, or remove this one.';

function check<M>(
  context: Context,
  virtualService: ResourceOf<'VirtualService'>,
  rules: readonly Rule<M>[],
  covers: (a: M, b: M) => boolean,
): void {
  const earlier: { match: M; index: number }[] = [];
  for (const [index, rule] of rules.entries()) {
    const covered = rule.matches.map((match) => earlier.find((candidate) => covers(candidate.match, match)));
    if (rule.matches.length > 0 && covered.every((by) => by !== undefined)) {
      const by = [...new Set(covered.map((candidate) => candidate!.index + 1))].join(' and ');
      context.report(
        'IST0130',
        virtualService,
        rule.path,
        virtualService.derivedFrom
          ? NEVER_REACHED
          : `This rule (#${index + 1}) is never reached: rule #${by} comes first and takes all of its traffic. Move it before that rule, or remove it.`,
      );
    } else {
      for (const [j, by] of covered.entries()) {
        if (!by || !rule.explicit) continue;
        context.report(
          'IST0131',
          virtualService,
          [...rule.path, 'match', j],
          `Match #${j + 1} of rule #${index + 1} has no effect: rule #${by.index + 1} takes the same traffic before it. Remove it, or move the rule.`,
        );
      }
      for (const [j, match] of rule.matches.entries()) {
        const by = covered[j] ? -1 : rule.matches.slice(0, j).findIndex((other) => covers(other, match));
        if (by < 0 || virtualService.derivedFrom) continue;
        context.report(
          'IST0131',
          virtualService,
          [...rule.path, 'match', j],
          `Match #${j + 1} of rule #${index + 1} has no effect: match #${by + 1} of the rule takes its traffic already. Remove it, or narrow the other.`,
        );
      }
    }
    for (const match of rule.matches) earlier.push({ match, index });
  }
}
