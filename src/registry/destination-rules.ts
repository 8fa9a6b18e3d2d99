/** Which DestinationRule holds for a service at one proxy. */

import type { DestinationRule, MeshConfig, ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { fullHostname, hostCovers, isWildcard } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Service } from './model.ts';

type Rule = ResourceOf<'DestinationRule'>;

/** Where the rules are. Indexes over them are kept for as long as the list of them and the configuration are. */
export interface RuleSource {
  readonly snapshot: Snapshot;
  readonly config: MeshConfig;
}

/** The facts about a proxy that decide which rules it follows. */
export interface Caller {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Rules of one host that are merged, oldest first: what they state together is exported as the first of them is. */
interface Merged {
  readonly rules: readonly [Rule, ...Rule[]];
  readonly exportTo: ReadonlySet<string>;
}

/** The rules of one namespace by their full host; those with a workloadSelector come first, and then the older ones. */
interface Rules {
  readonly exact: ReadonlyMap<string, readonly Merged[]>;
  /** Longest first: the most specific wins. */
  readonly wildcards: readonly (readonly [host: string, rules: readonly Merged[]])[];
}

interface Index {
  /** All rules of a namespace; its own proxies look at these first. */
  readonly local: ReadonlyMap<string, Rules>;
  /** Those of the root namespace that its own proxies look at first. */
  readonly rootPrivate: Rules;
  /** The rules of a namespace that others may see. */
  readonly exported: ReadonlyMap<string, Rules>;
}

const NO_RULES: readonly Merged[] = [];
const indexes = new Memo<Index>();
const candidates = new Memo<WeakMap<Service, readonly Merged[]>>();
const merged = new Memo<Rule>();

/** Client's namespace, service's namespace, root namespace; a rule with a workloadSelector counts in its own namespace only. */
export function destinationRuleLookup(mesh: RuleSource, proxy: Caller): (service: Service) => Rule | undefined {
  const all = mesh.snapshot.list('DestinationRule');
  if (all.length === 0) return () => undefined;
  const index = indexes.get([mesh.config, all], NO_INPUTS, () => buildIndex(mesh));
  const found = candidates.get([index, proxy.namespace], NO_INPUTS, () => new WeakMap());
  return (service) => {
    let rules = found.get(service);
    if (!rules) {
      rules = rulesFor(service, proxy.namespace, index, mesh.config.rootNamespace);
      found.set(service, rules);
    }
    return rules.length === 0 ? undefined : forProxy(rules, proxy);
  };
}

/** Those that count for a service at the proxies of a namespace, whatever their labels are. */
function rulesFor(service: Service, namespace: string, { local, rootPrivate, exported }: Index, rootNamespace: string): readonly Merged[] {
  // Rules of the root namespace are meant for the whole mesh: a proxy there looks at the service's namespace before them, save for its private ones.
  const own = mostSpecific(namespace === rootNamespace ? rootPrivate : local.get(namespace), service.hostname);
  if (own.length > 0) return own;
  // What the most specific host's rules hide is not made up for by those of a wider one.
  const seenOf = (owner: string) =>
    mostSpecific(exported.get(owner), service.hostname).filter(({ exportTo }) => isExportedTo(namespace, exportTo));
  const ofService = seenOf(service.namespace);
  return ofService.length > 0 ? ofService : seenOf(rootNamespace);
}

function buildIndex({ snapshot, config }: RuleSource): Index {
  const sorted = [...snapshot.list('DestinationRule')].sort((a, b) => Number(isSelective(b)) - Number(isSelective(a)));
  const byNamespace = [...Map.groupBy(sorted, ({ metadata }) => metadata.namespace)];
  const of = (keep: (rule: Rule) => boolean) => new Map(byNamespace.map(([namespace, rules]) => [namespace, rulesOf(rules.filter(keep))]));
  const isHidden = (rule: Rule) => isPrivate(rule, config);
  return {
    local: of(isLocal),
    rootPrivate: of(isHidden).get(config.rootNamespace) ?? rulesOf([]),
    exported: of((rule) => !isHidden(rule)),
  };
}

/** A workloadSelector reaches no further than its namespace. */
function exportsOf({ spec }: Rule): ReadonlySet<string> {
  return new Set(spec.workloadSelector ? ['.'] : spec.exportTo);
}

function isLocal(rule: Rule): boolean {
  const exportTo = exportsOf(rule);
  return isExportedTo(rule.metadata.namespace, exportTo) || exportTo.has('.');
}

function isExportedTo(namespace: string, exportTo: ReadonlySet<string>): boolean {
  return exportTo.size === 0 || exportTo.has('*') || exportTo.has(namespace);
}

/** Whether only its own namespace sees the rule. */
function isPrivate(rule: Rule, { defaultDestinationRuleExportTo }: MeshConfig): boolean {
  const exportTo = exportsOf(rule);
  if (exportTo.size === 0) return defaultDestinationRuleExportTo.includes('.');
  return exportTo.size === 1 && (exportTo.has('.') || exportTo.has(rule.metadata.namespace));
}

function isSelective({ spec }: Rule): boolean {
  return spec.workloadSelector !== undefined;
}

function rulesOf(list: readonly Rule[]): Rules {
  const byHost = Map.groupBy(list, ({ spec, metadata }) => fullHostname(spec.host.toLowerCase(), metadata.namespace));
  const all = [...byHost].map(([host, rules]) => [host, mergedRules(rules)] as const);
  const wildcards = all.filter(([host]) => isWildcard(host)).sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
  return { exact: new Map(all), wildcards };
}

/** As Istio merges the rules of one host: each into the older ones that it joins. It stands beside them too, unless the last of them took it. */
function mergedRules(rules: readonly Rule[]): readonly Merged[] {
  const out: { readonly rules: [Rule, ...Rule[]]; readonly exportTo: ReadonlySet<string> }[] = [];
  for (const rule of rules) {
    const exportTo = exportsOf(rule);
    let isApart = true;
    for (const older of out) {
      const [first] = older.rules;
      const joins =
        isSeenWhere(older.exportTo, exportTo) && !(isSelective(first) && isSelective(rule) && !sameSelector(first.spec, rule.spec));
      if (joins) older.rules.push(rule);
      isApart = !joins || isSelective(first) !== isSelective(rule);
    }
    if (isApart) out.push({ rules: [rule], exportTo });
  }
  return out;
}

/** Whether what is exported to `wider` is seen wherever `exportTo` names. */
function isSeenWhere(exportTo: ReadonlySet<string>, wider: ReadonlySet<string>): boolean {
  return exportTo.size === 0 ? wider.size === 0 : [...exportTo].every((namespace) => wider.has(namespace));
}

function mostSpecific(rules: Rules | undefined, hostname: string): readonly Merged[] {
  if (!rules) return NO_RULES;
  const exact = rules.exact.get(hostname);
  if (exact) return exact;
  return rules.wildcards.find(([host]) => hostCovers(host, hostname))?.[1] ?? NO_RULES;
}

/** The first whose workloadSelector picks this proxy, else the last without one: of rules that were not merged the youngest. */
function forProxy(rules: readonly Merged[], proxy: Caller): Rule | undefined {
  const selecting = rules.find(
    ({ rules: [{ spec }] }) => spec.workloadSelector && matchesLabels(spec.workloadSelector.matchLabels, proxy.labels),
  );
  const found = selecting ?? rules.findLast(({ rules: [first] }) => !isSelective(first));
  return found && merge(found.rules);
}

function sameSelector(a: DestinationRule, b: DestinationRule): boolean {
  const [one, other] = [a.workloadSelector?.matchLabels ?? {}, b.workloadSelector?.matchLabels ?? {}];
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}

/** The oldest, with the subsets of the others that it does not define, and the first policy that any of them states. */
function merge([oldest, ...others]: Merged['rules']): Rule {
  if (others.length === 0) return oldest;
  return merged.get([oldest], others, () => {
    const subsets = [...oldest.spec.subsets];
    for (const { spec } of others) {
      for (const subset of spec.subsets) if (!subsets.some(({ name }) => name === subset.name)) subsets.push(subset);
    }
    const trafficPolicy = [oldest, ...others].find(({ spec }) => spec.trafficPolicy)?.spec.trafficPolicy;
    return { ...oldest, spec: { ...oldest.spec, subsets, ...(trafficPolicy ? { trafficPolicy } : {}) } };
  });
}
