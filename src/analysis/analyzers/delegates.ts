import type { HttpRoute } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { closest } from '../../lib/spelling.ts';
import { mergedRule } from '../../registry/delegates.ts';
import type { Context } from '../context.ts';
import { type Delegation, delegateOf, type NoDelegate, type VirtualService } from '../egress-model.ts';

/** A rule that delegates to a VirtualService. */
interface Root {
  readonly virtualService: VirtualService;
  readonly rule: HttpRoute;
}

/** IST0101: rules that delegate to a VirtualService that is none for them. SP1063: rules of a delegate that contradict every root's. */
export function delegates(context: Context): void {
  const roots = new Map<VirtualService, Root[]>();
  for (const virtualService of context.of('VirtualService')) {
    for (const [i, rule] of virtualService.spec.http.entries()) {
      if (!rule.delegate || virtualService.spec.hosts.length === 0) continue;
      const { found, why } = delegateOf(context, virtualService, rule.delegate);
      if (why) reportMissing(context, virtualService, i, rule.delegate, why);
      if (!found) continue;
      const list = roots.get(found);
      if (list) list.push({ virtualService, rule });
      else roots.set(found, [{ virtualService, rule }]);
    }
  }
  for (const [delegate, list] of roots) reportContradictions(context, delegate, list);
}

function reportMissing(context: Context, root: VirtualService, index: number, delegation: Delegation, why: NoDelegate): void {
  const { namespace } = root.metadata;
  const name = `${delegation.namespace || namespace}/${delegation.name}`;
  const near = why === 'missing' ? closest(delegation.name, namesOfDelegates(context, delegation.namespace || namespace)) : undefined;
  const problem = {
    missing: `There is no VirtualService ${name} to delegate to. ${near ? `Did you mean ${near}?` : 'Create it, or correct the name.'}`,
    'has hosts': `VirtualService ${name} has hosts, so nothing can be delegated to it. Take its hosts and gateways out, or write the rules here.`,
    'not exported': `VirtualService ${name} is not exported to ${namespace}, so nothing can be delegated to it from here. Add ${namespace} to its exportTo.`,
  }[why];
  const otherwise = leavesNone(root) ? 'as if there were no rules for the host, straight to it' : 'to the next rules, or are answered 404';
  context.report(
    'IST0101',
    root,
    ['spec', 'http', index, 'delegate', 'name'],
    `${problem} Until then this rule is left out, and its calls go ${otherwise}.`,
    near === undefined ? undefined : { from: delegation.name, to: near },
  );
}

/** Whether sidecars have no other rule by it: without any they do what they do for hosts without a VirtualService. */
function leavesNone({ spec }: VirtualService): boolean {
  const onMesh = (gateways: readonly string[]) => (gateways.length > 0 ? gateways : spec.gateways).includes('mesh');
  const others = spec.http.filter(
    ({ delegate, match }) => !delegate && (match.length === 0 || match.some(({ gateways }) => onMesh(gateways))),
  );
  return onMesh([]) && others.length === 0;
}

function namesOfDelegates(context: Context, namespace: string): string[] {
  return context
    .of('VirtualService')
    .filter(({ metadata, spec }) => metadata.namespace === namespace && spec.hosts.length === 0)
    .map(({ metadata }) => metadata.name);
}

/** A delegate of several roots may have rules for each: only what holds by none of them is at fault. */
function reportContradictions(context: Context, delegate: VirtualService, roots: readonly Root[]): void {
  for (const [i, leaf] of delegate.spec.http.entries()) {
    if (roots.some(({ rule }) => mergedRule(rule, leaf))) continue;
    const names = [...new Set(roots.map(({ virtualService }) => resourceText(virtualService)))].join(', ');
    context.report(
      'SP1063',
      delegate,
      ['spec', 'http', i, 'match'],
      `This rule is left out: its match contradicts that of the rule which delegates here (${names}). A delegate may narrow a prefix of its root and repeat an exact value, and has to say ignoreUriCase and sourceNamespace as the root does; of an expression (regex) it can say nothing. Write a match that lies within the root's.`,
    );
  }
}
