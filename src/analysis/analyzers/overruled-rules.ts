import type { ResourceOf } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { fullHostname, hostCovers, isWildcard } from '../../lib/hostname.ts';
import type { Visibility } from '../../registry/model.ts';
import { visibilityOf } from '../../registry/visibility.ts';
import type { Context } from '../context.ts';
import { asksForTls } from './gateway-routes.ts';

type Rule = ResourceOf<'DestinationRule'>;

/**
 * SP1069: DestinationRules of one namespace of which another one takes the place: of two for one host the older one's trafficPolicy counts (of the
 * younger its subsets), and that of the more specific host counts whole, TLS or none.
 */
export function overruledRules(context: Context): void {
  const rules = context.of('DestinationRule').filter(({ spec }) => spec.workloadSelector === undefined);
  for (const list of Map.groupBy(rules, ({ metadata }) => metadata.namespace).values()) {
    const byHost = [...Map.groupBy(list, hostOf)].map(([host, same]) => ({ host, same: same.sort((a, b) => a.order - b.order) }));
    for (const { same } of byHost) reportYounger(context, same);
    const wide = byHost.filter(({ host, same }) => isWildcard(host) && same.some(asksForTls));
    if (wide.length === 0) continue;
    for (const { host, same } of byHost) {
      const hidden = wide.find((each) => each.host !== host && hostCovers(each.host, host))?.same.find(asksForTls);
      if (hidden && !same.some(saysOfTls) && context.services.coveredBy(host).length > 0) reportSpecific(context, same[0]!, hidden);
    }
  }
}

function hostOf({ spec, metadata }: Rule): string {
  return fullHostname(spec.host, metadata.namespace).toLowerCase();
}

function reportYounger(context: Context, rules: readonly Rule[]): void {
  const seen = (rule: Rule): Visibility => visibilityOf(rule.spec.exportTo, context.mesh.defaultDestinationRuleExportTo);
  for (const [i, rule] of rules.entries()) {
    if (!rule.spec.trafficPolicy) continue;
    const older = rules.slice(0, i).find((other) => other.spec.trafficPolicy && sees(seen(other), seen(rule)));
    if (!older) continue;
    context.report(
      'SP1069',
      rule,
      ['spec', 'trafficPolicy'],
      `${resourceText(older)} is older and for ${rule.spec.host} too: its trafficPolicy counts, and nothing of this one${losesTls(older, rule) ? ': calls go out without the TLS that is asked for here' : ''}. Write both in one DestinationRule.`,
    );
  }
}

/** Whether the younger one asks for TLS where the older one says nothing of it. */
function losesTls(older: Rule, { spec: { trafficPolicy } }: Rule): boolean {
  const counts = older.spec.trafficPolicy;
  const says = (number: number | undefined) => {
    const ofPort = counts?.portLevelSettings.find(({ port }) => port?.number === number);
    return ofPort ? ofPort.tls !== undefined : counts?.tls !== undefined;
  };
  const asked = [{ port: undefined, tls: trafficPolicy?.tls }, ...(trafficPolicy?.portLevelSettings ?? [])];
  return asked.some(({ port, tls }) => tls && tls.mode !== 'DISABLE' && !says(port?.number));
}

/** Whether who sees the second sees the first. */
function sees(first: Visibility, second: Visibility): boolean {
  return first.has('*') || [...second].every((namespace) => first.has(namespace));
}

/** Whether it says whether there is to be TLS. */
function saysOfTls({ spec: { trafficPolicy, subsets } }: Rule): boolean {
  const policies = [trafficPolicy, ...(trafficPolicy?.portLevelSettings ?? []), ...subsets.map((subset) => subset.trafficPolicy)];
  return policies.some((policy) => policy?.tls);
}

function reportSpecific(context: Context, rule: Rule, hidden: Rule): void {
  context.report(
    'SP1069',
    rule,
    ['spec', 'host'],
    `For ${rule.spec.host} this DestinationRule takes the place of ${resourceText(hidden)} (${hidden.spec.host}) whole: calls go out without the TLS that is asked for there. Write its tls here, too, or tls: {mode: DISABLE} if there is to be none.`,
  );
}
