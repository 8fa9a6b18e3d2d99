/** Who calls: the workloads of the files, Pods and what Deployments make; or, if the files have no Pods, one workload of each kind that the configuration tells apart as well. */
import { type Labels, matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { accountsNamed } from './accounts.ts';
import type { SimulatedFiles } from './simulated.ts';
import { namespacesThatCount, selectorsOf } from './workload-classes.ts';

type Callers = Pick<SimulatedFiles, 'mesh' | 'proxies'>;

/** The sidecars whose calls are judged. One that stands for workloads which the files do not name is called `namespace/*`. */
export function callersOf({ mesh, proxies }: Callers): ProxyIdentity[] {
  const sidecars = proxies.filter(({ type }) => type === 'sidecar');
  const { registry, snapshot } = mesh;
  const routers = proxies.filter(({ type }) => type === 'router');
  const isRouter = (namespace: string, name: string) => routers.some((router) => router.namespace === namespace && router.name === name);
  const pods = registry.workloads.filter(({ kind, namespace, name }) => kind === 'Pod' && !isRouter(namespace, name));
  if (pods.length > 0 && snapshot.complete) return sidecars;
  const isThere = ({ namespace, labels }: ProxyIdentity) =>
    Object.keys(labels).length > 0 && pods.some((pod) => pod.namespace === namespace && matchesLabels(labels, pod.labels));
  const gateways = snapshot.list('Gateway').map(({ spec }) => spec.selector);
  const deployed = snapshot
    .list('Deployment')
    .map(({ metadata: { namespace, name }, spec: { template } }) =>
      caller(namespace, name, template?.metadata?.labels ?? {}, template?.spec?.serviceAccountName || 'default'),
    )
    .filter(({ labels }) => !gateways.some((selector) => Object.keys(selector).length > 0 && matchesLabels(selector, labels)))
    .filter((deployment) => !isThere(deployment));
  if (pods.length > 0) return [...sidecars, ...deployed];
  const { possible, accounts, isMeant } = possibleCallers({ mesh, proxies }, namespacesThatCount(mesh));
  // A workload that no selector chooses stands for all others of its namespace.
  const named = new Set(sidecars.filter(({ labels }) => !isMeant(labels)).map(({ namespace }) => `${namespace}/*`));
  return [...sidecars, ...deployed, ...possible.filter(({ namespace, name }) => !named.has(`${namespace}/${name}`)), ...accounts];
}

interface PossibleCallers {
  /** By namespace and labels. */
  readonly possible: readonly ProxyIdentity[];
  /** By service accounts that policies name. */
  readonly accounts: readonly ProxyIdentity[];
  /** Whether a selector may choose a workload with these labels. */
  isMeant(labels: Labels): boolean;
}

/** Workloads that could be in these namespaces, one of each kind that the configuration tells apart. */
export function possibleCallers({ mesh, proxies }: Callers, among: Iterable<string>): PossibleCallers {
  const { config } = mesh;
  const routers = proxies.filter(({ type }) => type === 'router');
  // Whoever may run workloads in a gateway's namespace may change the gateway, too.
  const closed = new Set([config.rootNamespace, ...routers.map(({ namespace }) => namespace)]);
  const namespaces = [...among].filter((name) => /^[a-z0-9]/.test(name) && !closed.has(name)).sort();
  const selectors = distinct(selectorsOf(mesh));
  const possible = namespaces.flatMap((namespace) => [
    caller(namespace, '*', {}),
    ...selectors.map((labels) => caller(namespace, `* (${textOf(labels)})`, labels)),
  ]);
  // Whom policies name may be anything else.
  const accounts = accountsNamed(mesh)
    .filter(({ namespace, serviceAccount }) => serviceAccount !== 'default' && !closed.has(namespace))
    .flatMap(({ namespace, serviceAccount }) =>
      [{}, ...selectors].map((labels) => {
        const chosen = textOf(labels);
        return caller(namespace, `* (service account ${serviceAccount}${chosen === '' ? '' : `, ${chosen}`})`, labels, serviceAccount);
      }),
    );
  const isMeant = (labels: Labels) => selectors.some((selector) => Object.entries(selector).some(([key, value]) => labels[key] === value));
  return { possible, accounts, isMeant };
}

function caller(namespace: string, name: string, labels: Labels, serviceAccount = 'default'): ProxyIdentity {
  return { type: 'sidecar', name, namespace, labels, serviceAccount, addresses: [], locality: '' };
}

function distinct(selectors: readonly Labels[]): Labels[] {
  return [...new Map(selectors.map((labels) => [textOf(labels), labels])).values()].filter((labels) => Object.keys(labels).length > 0);
}

function textOf(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join();
}
