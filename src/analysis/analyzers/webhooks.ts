/** What an installation of Istio registers with the API server: its webhooks. */

import type { ResourceOf, Webhook } from '../../api/index.ts';
import { isIp } from '../../lib/ip.ts';
import { labelsText, matchesSelector } from '../../lib/labels.ts';
import type { Context } from '../context.ts';

const REVISION_LABEL = 'istio.io/rev';
const INJECTION_LABEL = 'istio-injection';
const POD_LABEL = 'sidecar.istio.io/inject';

type Injector = ResourceOf<'MutatingWebhookConfiguration'>;

/** One webhook of an injector. */
interface Hook {
  readonly injector: Injector;
  readonly index: number;
}

/** IST0139: two injection webhooks that take the same pods, and an injector whose Service is missing. */
export function injectionWebhooks(context: Context): void {
  const injectors = context.of('MutatingWebhookConfiguration').filter((injector) => isIstiosInjector(injector));
  const revisions = [...new Set(injectors.flatMap(revisionsOf))].sort();
  const hooks = injectors.flatMap((injector) => injector.spec.webhooks.map((_, index): Hook => ({ injector, index })));
  const rivals = new Map<Hook, { readonly others: Set<string>; readonly example: string }>();
  for (const namespace of namespaceLabels(revisions)) {
    for (const pod of podLabels(revisions)) {
      const taking = hooks.filter(({ injector, index }) => takes(injector.spec.webhooks[index]!, namespace, pod));
      if (taking.length < 2) continue;
      for (const hook of taking) {
        const known = rivals.get(hook) ?? { others: new Set(), example: exampleOf(namespace, pod) };
        for (const other of taking) if (other !== hook) known.others.add(nameOf(other, hook));
        rivals.set(hook, known);
      }
    }
  }
  for (const [{ injector, index }, { others, example }] of rivals) {
    context.report(
      'IST0139',
      injector,
      ['webhooks', index],
      `This webhook takes pods that ${[...others].sort().join(', ')} takes too (${example}): they are injected twice and may not start. Give the selectors different revisions, or remove one of the webhooks.`,
    );
  }
  for (const injector of injectors) reportMissingServices(context, injector);
}

/** As seen from another webhook: one of the same configuration by its name alone. */
function nameOf({ injector, index }: Hook, from: Hook): string {
  const { name } = injector.spec.webhooks[index]!;
  return injector === from.injector ? `webhook ${name || `#${index + 1}`}` : injector.metadata.name;
}

function isIstiosInjector(injector: Injector): boolean {
  return revisionsOf(injector).length > 0 || injector.spec.webhooks.some(({ name }) => name.endsWith('istio.io'));
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

/** The revisions that an injector is for: of its label, and of its selectors. */
function revisionsOf({ metadata, spec }: Injector): string[] {
  const own = metadata.labels[REVISION_LABEL];
  const selected = spec.webhooks.flatMap(({ namespaceSelector, objectSelector }) =>
    [namespaceSelector, objectSelector].flatMap((selector) => [
      ...(selector?.matchLabels[REVISION_LABEL] ? [selector.matchLabels[REVISION_LABEL]] : []),
      ...(selector?.matchExpressions ?? []).flatMap(({ key, values }) => (key === REVISION_LABEL ? values : [])),
    ]),
  );
  return own === undefined ? selected : [own, ...selected];
}

type Labels = Readonly<Record<string, string>>;

function takes({ namespaceSelector, objectSelector }: Webhook, namespace: Labels, pod: Labels): boolean {
  return (!namespaceSelector || matchesSelector(namespaceSelector, namespace)) && (!objectSelector || matchesSelector(objectSelector, pod));
}

/** Every way in which labels of a namespace can ask for injection. */
function namespaceLabels(revisions: readonly string[]): Labels[] {
  return withRevisions([{}, { [INJECTION_LABEL]: 'enabled' }, { [INJECTION_LABEL]: 'disabled' }], revisions);
}

function podLabels(revisions: readonly string[]): Labels[] {
  return withRevisions([{}, { [POD_LABEL]: 'true' }, { [POD_LABEL]: 'false' }], revisions);
}

function withRevisions(labels: readonly Labels[], revisions: readonly string[]): Labels[] {
  return [...labels, ...revisions.flatMap((name) => labels.map((each) => ({ ...each, [REVISION_LABEL]: name })))];
}

function exampleOf(namespace: Labels, pod: Labels): string {
  const text = (labels: Labels) => labelsText(labels) || 'no label';
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
      } else if (isIp(new URL(url!).hostname.replace(/^\[|\]$/g, ''))) {
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
