/** What EgressPolicies are to be told of themselves: their statuses in a cluster. Pure. */
import { type Condition, conditionsFor } from '../api/condition.ts';
import { secretValueName } from '../api/inject-credentials.ts';
import type { Finding } from '../lib/finding.ts';
import { endOfPolicy, entriesOf, type Policy, startOfPolicy } from './entries.ts';
import { endText, type Plans, plansOf } from './plans.ts';
import { clientCertificate, secretValues } from './secrets.ts';

/** One as the cluster has it: what of it is in force may be an earlier generation. */
export interface PolicyObject {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly generation?: number };
}

export interface PolicyStatus<T extends PolicyObject> {
  readonly object: T;
  readonly conditions: readonly Condition[];
}

/**
 * @param policies those that are valid, oldest first: of one that is not, the last version that was
 * @param errors of policies that are not valid
 * @param now ms since the epoch
 * @param missing why something of a Secret can not be had; undefined where it can
 */
export function policyStatuses<T extends PolicyObject>(
  objects: readonly T[],
  policies: readonly Policy[],
  errors: readonly Finding[],
  now: number,
  missing: Missing = () => undefined,
): PolicyStatus<T>[] {
  const plans = plansOf(policies, now);
  return objects.map((object) => {
    const { namespace, name } = object.metadata;
    const policy = policies.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    const wrong = errors.filter(({ origin }) => origin.namespace === namespace && origin.name === name).map(({ message }) => message);
    const invalid = wrong.length > 0 ? wrong.join('\n') : policy ? undefined : 'it has not been read yet';
    const conditions = conditionsOf(object, policy, invalid, plans, now);
    return { object, conditions: [...conditions, ...(policy ? resolved(policy, missing) : [])] };
  });
}

function conditionsOf(
  object: PolicyObject,
  policy: Policy | undefined,
  invalid: string | undefined,
  plans: Plans,
  now: number,
): Condition[] {
  const refused = plans.problems.find((problem) => problem.policy === policy);
  // An error is of what the cluster has; what is accepted was read, and may be older.
  const condition = conditionsFor(invalid === undefined && policy ? policy : object);
  const accepted =
    invalid !== undefined
      ? condition(
          'Accepted',
          false,
          'Invalid',
          `${invalid}${policy ? `\nWhat it was before holds: generation ${policy.metadata.generation}.` : ''}`,
        )
      : condition('Accepted', !refused, refused?.reason ?? 'Accepted', refused?.message ?? 'It goes together with the others.');
  if (!policy) return [accepted, condition('Compiled', false, 'NotAccepted', 'It allows nothing.')];
  // Of the generation that is in force.
  const inForce = conditionsFor(policy);
  return [accepted, expired(policy, now, inForce), compiled(policy, refused !== undefined, now, inForce)];
}

/** In the words of the Kubernetes Gateway API; of a policy with credentials alone. */
function resolved(policy: Policy, missing: Missing): Condition[] {
  const values = secretValues(policy).map(secretValueName);
  const certificate = clientCertificate(policy);
  const wanted: Wanted[] = values.map((name) => ({ what: 'value', name }));
  if (certificate !== undefined) wanted.push({ what: 'certificate', name: certificate });
  if (wanted.length === 0) return [];
  const problems = wanted.flatMap((each) => missing(each) ?? []);
  const condition = conditionsFor(policy);
  return [
    problems.length > 0
      ? condition('ResolvedRefs', false, 'RefNotFound', problems.join('\n'))
      : condition('ResolvedRefs', true, 'ResolvedRefs', `Its credentials are there: ${wanted.map(({ name }) => name).join(', ')}.`),
  ];
}

/** What a policy has of Secrets: a value by its name, or a certificate of `NAMESPACE/NAME`. */
export interface Wanted {
  readonly what: 'value' | 'certificate';
  readonly name: string;
}

type Missing = (wanted: Wanted) => string | undefined;

type Make = ReturnType<typeof conditionsFor>;

function expired(policy: Policy, now: number, condition: Make): Condition {
  if (policy.spec.expires === undefined) return condition('Expired', false, 'NoEnd', 'It has no end.');
  const end = endText(policy);
  return endOfPolicy(policy.spec) <= now
    ? condition('Expired', true, 'Expired', `It ended at ${end}: what it allowed is refused. Set a later expires, or remove it.`)
    : condition('Expired', false, 'InTime', `It ends at ${end}.`);
}

function compiled(policy: Policy, isRefused: boolean, now: number, condition: Make): Condition {
  if (isRefused) return condition('Compiled', false, 'NotAccepted', 'It allows nothing.');
  if (endOfPolicy(policy.spec) <= now) return condition('Compiled', false, 'Expired', 'It allows nothing any more.');
  const start = startOfPolicy(policy.spec);
  if (start > now) return condition('Compiled', false, 'NotStarted', `It allows nothing before ${new Date(start).toISOString()}.`);
  return condition('Compiled', true, 'Compiled', `The mesh is made to allow its calls to ${hostsText(policy)}.`);
}

/** As many as are read. */
const MOST_HOSTS = 20;

function hostsText(policy: Policy): string {
  const hosts = [...Map.groupBy(entriesOf(policy), ({ host }) => host)].map(
    ([host, entries]) => `${host} (${[...new Set(entries.map(({ port }) => port))].join(', ')})`,
  );
  return hosts.length > MOST_HOSTS ? `${hosts.slice(0, MOST_HOSTS).join(', ')} and ${hosts.length - MOST_HOSTS} more` : hosts.join(', ');
}
