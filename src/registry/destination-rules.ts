/** Which DestinationRule holds for a service at one proxy. */

import type { DestinationRule, MeshConfig, ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { fullHostname, hostCovers, isWildcard } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Service } from './model.ts';
import { isVisible, visibilityOf } from './visibility.ts';

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

/** The rules of one namespace by their full host; of one host oldest first. */
interface Rules {
  readonly exact: ReadonlyMap<string, readonly Rule[]>;
  /** Longest first: the most specific wins. */
  readonly wildcards: readonly (readonly [host: string, rules: readonly Rule[]])[];
}

interface Index {
  /** All rules of a namespace; its own proxies look at these first. */
  readonly local: ReadonlyMap<string, Rules>;
  /** Those of the root namespace that its own proxies look at first. */
  readonly rootPrivate: Rules | undefined;
  /** The rules of a namespace that others may see, by the namespace of the client. */
  exported(owner: string, client: string): Rules;
}

const EMPTY: Rules = { exact: new Map(), wildcards: [] };
const NO_RULES: readonly Rule[] = [];
const indexes = new Memo<Index>();
const candidates = new Memo<WeakMap<Service, readonly Rule[]>>();
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
function rulesFor(service: Service, namespace: string, { local, rootPrivate, exported }: Index, rootNamespace: string): readonly Rule[] {
  // Rules of the root namespace are meant for the whole mesh: a proxy there looks at the service's namespace before them, save for its private ones.
  const own = mostSpecific(namespace === rootNamespace ? rootPrivate : local.get(namespace), service.hostname);
  if (own.length > 0) return own;
  const ofService = mostSpecific(exported(service.namespace, namespace), service.hostname);
  return ofService.length > 0 ? ofService : mostSpecific(exported(rootNamespace, namespace), service.hostname);
}

function buildIndex(mesh: RuleSource): Index {
  const all = mesh.snapshot.list('DestinationRule');
  const byNamespace = Map.groupBy(all, ({ metadata }) => metadata.namespace);
  const local = new Map(
    [...byNamespace].map(([namespace, rules]) => [namespace, rulesOf(rules.filter((rule) => visibleTo(rule, namespace, mesh)))]),
  );
  const cache = new Map<string, Rules>();
  return {
    local,
    rootPrivate: privateOf(local.get(mesh.config.rootNamespace), mesh),
    exported(owner, client) {
      const key = `${owner}/${client}`;
      let rules = cache.get(key);
      if (!rules) {
        const list = (byNamespace.get(owner) ?? []).filter((rule) => !isPrivate(rule, mesh) && visibleTo(rule, client, mesh));
        rules = list.length > 0 ? rulesOf(list) : EMPTY;
        cache.set(key, rules);
      }
      return rules;
    },
  };
}

function visibleTo({ spec, metadata }: Rule, client: string, mesh: RuleSource): boolean {
  return isVisible(visibilityOf(spec.exportTo, mesh.config.defaultDestinationRuleExportTo), metadata.namespace, client);
}

/** Whether only its own namespace sees the rule: it is exported so, or it has a workloadSelector, which reaches no further. */
function isPrivate({ spec, metadata }: Rule, mesh: RuleSource): boolean {
  if (spec.workloadSelector) return true;
  const names = spec.exportTo.length > 0 ? spec.exportTo : mesh.config.defaultDestinationRuleExportTo;
  return names.length > 0 && names.every((name) => name === '.' || name === metadata.namespace);
}

function privateOf(rules: Rules | undefined, mesh: RuleSource): Rules | undefined {
  if (!rules) return undefined;
  const keep = (list: readonly Rule[]) => list.filter((rule) => isPrivate(rule, mesh));
  return {
    exact: new Map([...rules.exact].map(([host, list]) => [host, keep(list)])),
    wildcards: rules.wildcards.map(([host, list]) => [host, keep(list)] as const).filter(([, list]) => list.length > 0),
  };
}

function rulesOf(list: readonly Rule[]): Rules {
  const byHost = Map.groupBy(list, ({ spec, metadata }) => fullHostname(spec.host.toLowerCase(), metadata.namespace));
  const wildcards = [...byHost].filter(([host]) => isWildcard(host)).sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
  return { exact: byHost, wildcards };
}

function mostSpecific(rules: Rules | undefined, hostname: string): readonly Rule[] {
  if (!rules) return NO_RULES;
  const exact = rules.exact.get(hostname);
  if (exact?.length) return exact;
  return rules.wildcards.find(([host]) => hostCovers(host, hostname))?.[1] ?? NO_RULES;
}

/** The rules whose workloadSelector picks this proxy, else those without one; merged. */
function forProxy(rules: readonly Rule[], proxy: Caller): Rule | undefined {
  if (rules.length === 1 && !rules[0]!.spec.workloadSelector) return rules[0];
  const selecting = rules.filter(
    ({ spec: { workloadSelector } }) => workloadSelector && matchesLabels(workloadSelector.matchLabels, proxy.labels),
  );
  const [first] = selecting;
  if (first) return merge(selecting.filter((rule) => sameSelector(rule.spec, first.spec)));
  return merge(rules.filter(({ spec }) => !spec.workloadSelector));
}

function sameSelector(a: DestinationRule, b: DestinationRule): boolean {
  const [one, other] = [a.workloadSelector?.matchLabels ?? {}, b.workloadSelector?.matchLabels ?? {}];
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}

/** The oldest, with the subsets of the others that it does not define, and the first policy that any of them states. */
function merge(rules: readonly Rule[]): Rule | undefined {
  const [oldest, ...others] = rules;
  if (!oldest || others.length === 0) return oldest;
  return merged.get([oldest], others, () => {
    const subsets = [...oldest.spec.subsets];
    for (const { spec } of others) {
      for (const subset of spec.subsets) if (!subsets.some(({ name }) => name === subset.name)) subsets.push(subset);
    }
    const trafficPolicy = rules.find(({ spec }) => spec.trafficPolicy)?.spec.trafficPolicy;
    return { ...oldest, spec: { ...oldest.spec, subsets, ...(trafficPolicy ? { trafficPolicy } : {}) } };
  });
}
