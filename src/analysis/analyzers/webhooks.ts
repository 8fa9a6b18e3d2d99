/** What an installation of Istio registers with the API server: its webhooks, and the CRDs of the Gateway API. */
import { isIP } from 'node:net';
import type { ResourceOf, Webhook } from '../../api/index.ts';
import { selects } from '../../api/kubernetes/label-selector.ts';
import type { Context } from '../context.ts';

const REVISION_LABEL = 'istio.io/rev';
const INJECTION_LABEL = 'istio-injection';
const POD_LABEL = 'sidecar.istio.io/inject';

type Injector = ResourceOf<'MutatingWebhookConfiguration'>;

/** IST0139: two injectors that take the same pods, and an injector whose Service is missing. */
export function injectionWebhooks(context: Context): void {
  const injectors = context.of('MutatingWebhookConfiguration').filter(({ spec }) => revisionsOf(spec.webhooks).length > 0);
  const revisions = [...new Set(injectors.flatMap(({ spec }) => revisionsOf(spec.webhooks)))].sort();
  const rivals = new Map<Injector, { readonly others: Set<string>; readonly path: (string | number)[]; readonly example: string }>();
  for (const namespace of namespaceLabels(revisions)) {
    for (const pod of podLabels(revisions)) {
      const taking = injectors.flatMap((injector) => {
        const index = injector.spec.webhooks.findIndex((webhook) => takes(webhook, namespace, pod));
        return index < 0 ? [] : [{ injector, index }];
      });
      if (taking.length < 2) continue;
      for (const { injector, index } of taking) {
        const known = rivals.get(injector) ?? { others: new Set(), path: ['webhooks', index], example: exampleOf(namespace, pod) };
        for (const other of taking) if (other.injector !== injector) known.others.add(other.injector.metadata.name);
        rivals.set(injector, known);
      }
    }
  }
  for (const [injector, { others, path, example }] of rivals) {
    context.report(
      'IST0139',
      injector,
      path,
      `This webhook takes pods that ${[...others].sort().join(', ')} takes too (${example}): they are injected twice and may not start. Give the selectors different revisions, or remove one of the webhooks.`,
    );
  }
  for (const injector of injectors) reportMissingServices(context, injector);
}

function reportMissingServices(context: Context, injector: Injector): void {
  for (const [i, { clientConfig }] of injector.spec.webhooks.entries()) {
    const service = clientConfig?.service;
    if (!service || context.find('Service', service.namespace, service.name)) continue;
    context.report(
      'IST0139',
      injector,
      ['webhooks', i, 'clientConfig', 'service'],
      `The injector is Service ${service.namespace}/${service.name}, which does not exist: pods of the namespaces that it is for can't be created, or start without a sidecar. Correct the Service's name and namespace, or install the control plane there.`,
    );
  }
}

/** The revisions that the selectors of an injector name; one without any is no injector. */
function revisionsOf(webhooks: readonly Webhook[]): string[] {
  return webhooks.flatMap(({ namespaceSelector, objectSelector }) =>
    [namespaceSelector, objectSelector].flatMap((selector) => [
      ...(selector?.matchLabels[REVISION_LABEL] ? [selector.matchLabels[REVISION_LABEL]] : []),
      ...(selector?.matchExpressions ?? []).flatMap(({ key, operator, values }) =>
        key === REVISION_LABEL && operator === 'In' ? values : [],
      ),
    ]),
  );
}

type Labels = Readonly<Record<string, string>>;

function takes({ namespaceSelector, objectSelector }: Webhook, namespace: Labels, pod: Labels): boolean {
  return (!namespaceSelector || selects(namespaceSelector, namespace)) && (!objectSelector || selects(objectSelector, pod));
}

/** Every way in which labels of a namespace can ask for injection. */
function namespaceLabels(revisions: readonly string[]): Labels[] {
  return [
    {},
    { [INJECTION_LABEL]: 'enabled' },
    { [INJECTION_LABEL]: 'disabled' },
    ...revisions.map((name) => ({ [REVISION_LABEL]: name })),
  ];
}

function podLabels(revisions: readonly string[]): Labels[] {
  return [{}, { [POD_LABEL]: 'true' }, { [POD_LABEL]: 'false' }, ...revisions.map((name) => ({ [REVISION_LABEL]: name }))];
}

function exampleOf(namespace: Labels, pod: Labels): string {
  const text = (labels: Labels) =>
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',') || 'no label';
  return `namespaces with ${text(namespace)}, pods with ${text(pod)}`;
}

/** IST0163, IST0164: webhooks of Istio that lead to a control plane outside the cluster. */
export function externalControlPlanes(context: Context): void {
  for (const configuration of [...context.of('ValidatingWebhookConfiguration'), ...context.of('MutatingWebhookConfiguration')]) {
    if (!isIstios(configuration)) continue;
    for (const [i, { name, clientConfig }] of configuration.spec.webhooks.entries()) {
      const url = clientConfig?.url;
      if (url === undefined && clientConfig?.service) continue;
      const path = ['webhooks', i, 'clientConfig', ...(url === undefined ? [] : ['url'])];
      const fault = faultOf(url);
      if (fault) {
        context.report(
          'IST0163',
          configuration,
          path,
          `Webhook ${name} has ${url ? `the url "${url}", which ${fault}` : 'neither a service nor a url'}: the API server can't reach the control plane, so nothing is injected or checked. Write https://HOST/PATH of the control plane.`,
        );
      } else if (isIP(new URL(url!).hostname.replace(/^\[|\]$/g, ''))) {
        context.report(
          'IST0164',
          configuration,
          path,
          `Webhook ${name} reaches its control plane by an address (${url}): its certificate can hardly be verified by that, and the webhook breaks when the address changes. Use a host name.`,
        );
      }
    }
  }
}

function isIstios({ metadata: { name, labels } }: { metadata: { name: string; labels: Labels } }): boolean {
  return name.includes('istio') || labels[REVISION_LABEL] !== undefined || labels.app === 'istiod' || labels.app === 'sidecar-injector';
}

function faultOf(url: string | undefined): string | undefined {
  if (!url) return 'is empty';
  if (!URL.canParse(url)) return 'is no URL';
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:') return 'does not begin with https://';
  return hostname ? undefined : 'names no host';
}

/** The bundle of the Gateway API from which on Istio reads a kind, by the name of its CRD: major, minor, patch. */
const OLDEST_BUNDLES: Readonly<Record<string, readonly [number, number, number]>> = {
  'grpcroutes.gateway.networking.k8s.io': [1, 1, 0],
  'backendtlspolicies.gateway.networking.k8s.io': [1, 4, 0],
  'tlsroutes.gateway.networking.k8s.io': [1, 5, 0],
};

const BUNDLE_VERSION = 'gateway.networking.k8s.io/bundle-version';

/** IST0176: CRDs of the Gateway API that are older than Istio's release needs. */
export function gatewayApiVersions(context: Context): void {
  for (const definition of context.of('CustomResourceDefinition')) {
    const { name, annotations } = definition.metadata;
    const oldest = OLDEST_BUNDLES[name];
    const written = annotations[BUNDLE_VERSION];
    const version = /^v?(\d+)\.(\d+)\.(\d+)/.exec(written ?? '');
    if (!oldest || !version) continue;
    const installed = version.slice(1, 4).map(Number);
    // 0.0.0 is what builds between releases are named.
    if (installed.every((part) => part === 0)) continue;
    const differing = oldest.findIndex((part, i) => part !== installed[i]);
    if (differing < 0 || installed[differing]! > oldest[differing]!) continue;
    context.report(
      'IST0176',
      definition,
      ['metadata', 'annotations', BUNDLE_VERSION],
      `${name} is of Gateway API ${written}, and Istio reads it from v${oldest.join('.')} on: its objects are ignored. Install the CRDs of a later release.`,
    );
  }
}
