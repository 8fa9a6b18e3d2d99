/** EgressPolicies put together: of each host that one of them names, who may call it and how. */

import { originOf } from '../api/resource.ts';
import { hostCovers, isShortName } from '../lib/hostname.ts';
import { originText } from '../lib/origin.ts';
import { deniedCalls } from './denied.ts';
import { disagreement, type Entry, endOfPolicy, entriesOf, type Policy, startOfPolicy } from './entries.ts';
import { GATEWAY_NAMESPACE, gatewayPort, HIGHEST_LED } from './gateway-port.ts';
import { type HostPlan, type PortPlan, type Rule, resourceName } from './plan.ts';

export interface Problem extends Refusal {
  readonly policy: Policy;
}

interface Refusal {
  /** In one word: that of a condition. */
  readonly reason: 'TooManyHosts' | 'Conflict' | 'NotServed' | 'NotHeld';
  readonly message: string;
}

export interface Plans {
  readonly plans: readonly { readonly plan: HostPlan; readonly policy: Policy }[];
  /** Policies that are not in force, and why. */
  readonly problems: readonly Problem[];
  /** Policies that have ended. */
  readonly ended: readonly Policy[];
}

/** @param policies oldest first: the younger of two that do not go together is not in force */
export function plansOf(policies: readonly Policy[], now: number): Plans {
  const ended = policies.filter(({ spec }) => endOfPolicy(spec) <= now);
  const problems: Problem[] = [];
  const live: Entry[] = [];
  const planned = new Set<string>();
  for (const policy of policies) {
    if (ended.includes(policy) || startOfPolicy(policy.spec) > now) continue;
    const entries = entriesOf(policy);
    const refusal =
      refused('TooManyHosts', tooMany(entries, planned)) ??
      refused('Conflict', conflictWith(entries, [...live, ...entries])) ??
      refused('NotServed', unservable(entries, live)) ??
      refused('NotHeld', unheld(entries, live));
    if (refusal === undefined) {
      for (const entry of entries) {
        live.push(entry);
        planned.add(entry.host);
      }
    } else problems.push({ policy, ...refusal });
  }
  // Of a short name nothing can say that it has ended: it is not declared any more.
  const over = ended
    .flatMap((policy) => entriesOf(policy))
    .filter(({ host }) => !isShortName(host) && (planned.size < MOST_HOSTS || planned.has(host)) && planned.add(host));
  const hosts = Map.groupBy([...live, ...over], ({ host }) => host);
  const taken = new Set<string>();
  const plans = [...hosts.keys()].sort().map((host) => {
    const covering = (entries: readonly Entry[]) => entries.filter((entry) => hostCovers(entry.host, host));
    const plan = planOf(host, covering(live), covering(over), ownAddress(host, taken));
    return { plan, policy: hosts.get(host)![0]!.policy };
  });
  return { plans, problems, ended };
}

function refused(reason: Refusal['reason'], message: string | undefined): Refusal | undefined {
  return message === undefined ? undefined : { reason, message };
}

/** Each host is compared with each, and has an address out of 65,024: beyond, reading would take minutes, or never end. */
const MOST_HOSTS = 5000;

function tooMany(entries: readonly Entry[], planned: ReadonlySet<string>): string | undefined {
  const more = new Set(entries.map(({ host }) => host).filter((host) => !planned.has(host))).size;
  if (planned.size + more <= MOST_HOSTS) return undefined;
  return `it names ${more} hosts beside ${planned.size} of older policies, which is more than the ${MOST_HOSTS} that policies may name together, so this policy allows nothing: write *.SUFFIX, or remove some.`;
}

function conflictWith(entries: readonly Entry[], others: readonly Entry[]): string | undefined {
  const byHost = Map.groupBy(others, ({ host }) => host);
  for (const entry of entries) {
    for (const [host, same] of byHost) {
      if (!hostCovers(host, entry.host) && !hostCovers(entry.host, host)) continue;
      for (const other of same) {
        const how = disagreement(entry, other);
        if (how === undefined) continue;
        return (
          `of ${entry.host}:${entry.port} ${originText(originOf(other.policy))} says something else for ${other.host} (${how}): a port of a host has one way for all, ` +
          'so this policy allows nothing. Write the same in both, or put the callers into one policy.'
        );
      }
    }
  }
  return undefined;
}

/** What a gateway can not be made to hold to. */
function unservable(entries: readonly Entry[], live: readonly Entry[]): string | undefined {
  for (const { host, port } of entries.filter(({ through }) => through === 'gateway')) {
    const at = gatewayPort(port);
    if (at === undefined)
      return `port ${port} of ${host} has no port of the gateway (they go up to ${HIGHEST_LED}), so this policy allows nothing: write through: direct.`;
    const rules = [...live, ...entries].filter((entry) => entry.host === host && entry.port === port).map(ruleOf);
    if (deniedCalls(host, at, rules) === undefined)
      return `too many callers have requests of their own to ${host}:${port}, so this policy allows nothing: give callers the same methods and paths.`;
  }
  return undefined;
}

/** Short names of which not everybody that sees them may call: no VirtualService could hold the others off. */
function unheld(entries: readonly Entry[], live: readonly Entry[]): string | undefined {
  for (const { host } of entries.filter((entry) => isShortName(entry.host))) {
    const same = [...live, ...entries].filter((entry) => entry.host === host);
    const namespaces = same.flatMap(({ callers }) => callers.map(({ namespace }) => namespace));
    const isForAll = ({ callers, only }: Entry) =>
      !only && namespaces.every((name) => callers.some(({ namespace, labels }) => namespace === name && Object.keys(labels).length === 0));
    if (!same.every(isForAll))
      return `${host} is a name without a dot, of which callers can not be told apart, so this policy allows nothing: name the same whole namespaces in all policies for it, without methods and paths, or write the name in full.`;
  }
  return undefined;
}

function ruleOf({ callers, only, policy }: Entry): Rule {
  return { callers, ...(only && { only }), origin: policy };
}

function planOf(host: string, live: readonly Entry[], over: readonly Entry[], address: string): HostPlan {
  const all = [...live, ...over];
  const first = all.find((entry) => entry.host === host)!;
  const namespaces = new Set(all.flatMap(({ callers }) => callers.map(({ namespace }) => namespace)));
  if (live.some(({ through }) => through === 'gateway')) namespaces.add(GATEWAY_NAMESPACE);
  const reasons = [...new Set(live.flatMap(({ policy: { spec } }) => spec.reason ?? []))];
  const owners = [...new Set(live.flatMap(({ policy: { spec } }) => spec.owner ?? []))];
  return {
    host,
    name: resourceName('egress-policy', host),
    namespace: first.policy.metadata.namespace,
    address,
    exportTo: [...namespaces].sort(),
    reason: reasons.length > 0 ? reasons.join('; ') : undefined,
    owner: owners.length > 0 ? owners.join(', ') : undefined,
    bind: first.bind,
    proxy: first.proxy,
    ports: [...Map.groupBy(all, ({ port }) => port).keys()]
      .sort((a, b) => a - b)
      .map((port) =>
        portPlan(
          host,
          port,
          live.filter((entry) => entry.port === port),
          over.filter((entry) => entry.port === port),
        ),
      ),
  };
}

function portPlan(host: string, port: number, live: readonly Entry[], over: readonly Entry[]): PortPlan {
  const { protocol } = live[0] ?? over[0]!;
  const rules = live.map(ruleOf);
  if (live[0]) {
    const { through, originate, certificate } = live[0];
    const shown = certificate === undefined ? undefined : { secret: certificate };
    return { port, protocol, through, originate, certificate: shown, credentials: credentialsOf(live), rules };
  }
  const { policy } = over.toSorted((a, b) => endOfPolicy(b.policy.spec) - endOfPolicy(a.policy.spec))[0]!;
  const ended = `${host}:${port} was allowed by ${originText(originOf(policy))}, which ended at ${endText(policy)}`;
  return { port, protocol, through: 'direct', rules: [], ended };
}

/** Several policies may say the same. */
function credentialsOf(live: readonly Entry[]): readonly object[] {
  const all = live.flatMap(({ credentials }) => credentials);
  return [...new Map(all.map((rule) => [JSON.stringify(rule), rule])).values()];
}

/** In UTC, to the second. */
export function endText({ spec }: Policy): string {
  return new Date(endOfPolicy(spec)).toISOString().replace('.000Z', 'Z');
}

/** By the name alone where no other host has come to the same: what comes and goes beside it changes no address. */
function ownAddress(host: string, taken: Set<string>): string {
  let hash = 0x811c9dc5;
  for (const character of host) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  for (let number = (hash >>> 0) % 65_024; ; number = (number + 1) % 65_024) {
    const address = `240.242.${1 + Math.floor(number / 256)}.${number % 256}`;
    if (taken.has(address)) continue;
    taken.add(address);
    return address;
  }
}
