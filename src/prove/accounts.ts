/** The namespaces and service accounts that policies tell apart. */
import type { Mesh } from '../translate/model.ts';

export interface Account {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** By name; patterns are none. */
export function accountsNamed({ snapshot }: Pick<Mesh, 'snapshot'>): readonly Account[] {
  const found = new Map<string, Account>();
  const add = (namespace: string, serviceAccount: string) => found.set(`${namespace}/${serviceAccount}`, { namespace, serviceAccount });
  for (const { metadata, spec } of snapshot.list('AuthorizationPolicy')) {
    for (const { from, when } of spec.rules) {
      const sources = from.flatMap(({ source }) => (source ? [source] : []));
      const ofKey = (key: string) => when.filter((each) => each.key === key).flatMap(({ values, notValues }) => [...values, ...notValues]);
      const principals = [...sources.flatMap((source) => [...source.principals, ...source.notPrincipals]), ...ofKey('source.principal')];
      for (const principal of principals) {
        const named = /\/ns\/([^/*]+)\/sa\/([^/*]+)$/.exec(principal);
        if (named) add(named[1]!, named[2]!);
      }
      const accounts = [
        ...sources.flatMap((source) => [...source.serviceAccounts, ...source.notServiceAccounts]),
        ...ofKey('source.serviceAccount'),
      ];
      for (const account of accounts) {
        const slash = account.indexOf('/');
        if (slash < 0) add(metadata.namespace, account);
        else add(account.slice(0, slash), account.slice(slash + 1));
      }
    }
  }
  return [...found.values()];
}

/** Of sources, patterns left out. */
export function namespacesNamed(mesh: Pick<Mesh, 'snapshot'>): readonly string[] {
  const named = mesh.snapshot
    .list('AuthorizationPolicy')
    .flatMap(({ spec }) => spec.rules)
    .flatMap(({ from, when }) => [
      ...from.flatMap(({ source }) => (source ? [...source.namespaces, ...source.notNamespaces] : [])),
      ...when.filter(({ key }) => key === 'source.namespace').flatMap(({ values, notValues }) => [...values, ...notValues]),
    ])
    .filter((name) => !name.includes('*'));
  return [...new Set([...named, ...accountsNamed(mesh).map(({ namespace }) => namespace)])];
}
