/** The rules of a DENY policy that leave exactly what is allowed. Pure. */
import type { Requests, Rule } from './plan.ts';

/** A caller set with requests: one that is allowed. */
interface Allowed extends Requests {
  /** Whole namespaces. */
  readonly namespaces: readonly string[];
  /** `namespace/name` each. */
  readonly accounts: readonly string[];
}

/** More would make a policy that nobody can read, and a proxy slow. */
const MOST_RULES = 64;

/**
 * A call is denied where each of what is allowed fails by its caller, its method or its path: a rule for each way in which all can fail.
 * Undefined where that would be too many.
 * @param sni the mesh's TLS has it for this host
 * @param port of the gateway
 */
export function deniedCalls(sni: string, port: number, rules: readonly Rule[]): object[] | undefined {
  const allowed = sameForAll(rules)
    ? [alternative(rules, undefined)]
    : rules.flatMap((rule) => (rule.only ?? [undefined]).map((only) => alternative([rule], only)));
  let ways: Allowed[] = [{ namespaces: [], accounts: [], methods: [], paths: [] }];
  for (const { namespaces, accounts, methods, paths } of allowed) {
    const failures: Partial<Allowed>[] = [
      { namespaces, accounts },
      ...(methods.length > 0 ? [{ methods }] : []),
      ...(paths.length > 0 ? [{ paths }] : []),
    ];
    ways = distinct(ways.flatMap((way) => failures.map((failure) => joined(way, failure))));
    if (ways.length > MOST_RULES) return undefined;
  }
  return ways.map(({ namespaces, accounts, methods, paths }) => ({
    ...(accounts.length > 0 && { from: [{ source: { notServiceAccounts: accounts } }] }),
    to: [
      {
        operation: {
          ports: [String(port)],
          ...(methods.length > 0 && { notMethods: methods }),
          ...(paths.length > 0 && { notPaths: paths }),
        },
      },
    ],
    when: [
      { key: 'connection.sni', values: [sni] },
      ...(namespaces.length > 0 ? [{ key: 'source.namespace', notValues: namespaces }] : []),
    ],
  }));
}

/** Whether the requests say nothing about who may send them: then the gateway's routes hold to them. */
function sameForAll(rules: readonly Rule[]): boolean {
  const first = JSON.stringify(rules[0]?.callers);
  return (
    rules.every(({ callers, only }) => only === undefined || JSON.stringify(callers) === first) &&
    (rules.every(({ only }) => only) || rules.every(({ only }) => !only))
  );
}

function alternative(rules: readonly Rule[], only: Requests | undefined): Allowed {
  const callers = rules.flatMap((rule) => rule.callers ?? []);
  const whole = callers.filter(({ serviceAccounts }) => serviceAccounts.length === 0).map(({ namespace }) => namespace);
  const accounts = callers
    .filter(({ namespace }) => !whole.includes(namespace))
    .flatMap(({ namespace, serviceAccounts }) => serviceAccounts.map((name) => `${namespace}/${name}`));
  return { namespaces: sorted(whole), accounts: sorted(accounts), methods: only?.methods ?? [], paths: only?.paths ?? [] };
}

function joined(way: Allowed, failure: Partial<Allowed>): Allowed {
  const both = (field: keyof Allowed) => sorted([...way[field], ...(failure[field] ?? [])]);
  return { namespaces: both('namespaces'), accounts: both('accounts'), methods: both('methods'), paths: both('paths') };
}

function sorted(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

/** Without those that another one, which asks less, takes in. */
function distinct(ways: readonly Allowed[]): Allowed[] {
  const fields = ['namespaces', 'accounts', 'methods', 'paths'] as const;
  const within = (less: Allowed, more: Allowed) => fields.every((field) => less[field].every((value) => more[field].includes(value)));
  return ways.filter((way, index) => !ways.some((other, at) => at !== index && within(other, way) && (!within(way, other) || at < index)));
}
