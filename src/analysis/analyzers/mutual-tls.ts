import type { ClientTlsSettings, ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { resourceText } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { Service, ServicePort } from '../../registry/model.ts';
import { type PeerDecision, type PeerModes, peerModes } from '../../registry/peer-modes.ts';
import { tlsOfPort } from '../arrivals.ts';
import { callersOf, workloadsOf } from '../callers.ts';
import type { Context, Selectable } from '../context.ts';
import { isOutOfMesh } from './policies.ts';

type Rule = ResourceOf<'DestinationRule'>;

/** SP1070: DestinationRules by which calls come to workloads in another form than their PeerAuthentication takes. */
export function* mutualTls(context: Context): Generator<void> {
  if (context.of('DestinationRule').length === 0) return;
  const modes = peerModes({ snapshot: context.snapshot, config: context.mesh });
  // Servers of gateways say themselves what they take.
  const workloads = new Set(workloadsOf(context));
  for (const service of context.registry.services) {
    yield;
    const pods = selected(context, service).filter((pod) => workloads.has(pod));
    if (pods.length === 0) continue;
    for (const rule of rulesFor(context, service)) {
      for (const { tls, path, port, labels } of settingsOf(rule, service)) {
        const taking = pods.filter((pod) => matchesLabels(labels, pod.labels)).map((pod) => modeOf(context, modes, pod, service, port));
        // Where some of them take it the others may be on their way out.
        if (taking.length > 0) reportDisagreement(context, { rule, tls, path, service, port }, taking);
      }
    }
  }
}

function selected(context: Context, { namespace, selector, meshExternal }: Service): readonly Selectable[] {
  return meshExternal || Object.keys(selector).length === 0 ? [] : context.selectIn(namespace, selector);
}

/** Those that somebody follows who calls it. */
function rulesFor(context: Context, service: Service): Rule[] {
  return [...new Set(callersOf(context, service.namespace).map((caller) => context.ruleFor(caller, service)))].filter(
    (rule) => rule !== undefined,
  );
}

interface Settings {
  readonly tls: ClientTlsSettings;
  readonly path: readonly PathStep[];
  readonly port: ServicePort;
  /** Of the subset that they are for; none for the rule's own. */
  readonly labels: Readonly<Record<string, string>>;
}

function settingsOf({ spec: { trafficPolicy, subsets } }: Rule, { ports }: Service): Settings[] {
  const levels = [
    { policy: trafficPolicy, labels: {}, path: ['spec', 'trafficPolicy'] },
    ...subsets.map((subset, i) => ({ policy: subset.trafficPolicy, labels: subset.labels, path: ['spec', 'subsets', i, 'trafficPolicy'] })),
  ];
  return levels.flatMap(({ policy, labels, path }) =>
    ports.flatMap((port) => {
      const found = tlsOfPort(policy, port.number, path);
      return found ? [{ ...found, port, labels }] : [];
    }),
  );
}

/** What a pod takes at a service's port; undefined for one without a proxy. */
function modeOf(context: Context, modes: PeerModes, pod: Selectable, service: Service, port: ServicePort): PeerDecision | undefined {
  if (isOutOfMesh(context, pod)) return undefined;
  const endpoint = context.registry.endpoints(service, port).find(({ workload }) => workload === pod.resource.metadata.name);
  return modes.of(pod, endpoint?.port ?? port.targetPort);
}

/** Of itself a proxy speaks mutual TLS wherever a workload takes it. */
const TAKE_OUT = 'take tls out (with trafficPolicy, where nothing else is in it): mutual TLS is then spoken where it is taken';

interface Disagreeing extends Omit<Settings, 'labels'> {
  readonly rule: Rule;
  readonly service: Service;
}

function reportDisagreement(
  context: Context,
  { rule, tls, path, service: { hostname }, port }: Disagreeing,
  taking: readonly (PeerDecision | undefined)[],
): void {
  const [first] = taking;
  const at = `${hostname}:${port.number}`;
  const by = first?.origin ? resourceText(first.origin) : '';
  if (tls.mode !== 'ISTIO_MUTUAL' && taking.every((each) => each?.mode === 'STRICT')) {
    const form = tls.mode === 'DISABLE' ? 'without TLS' : `in TLS that is not the mesh's (mode ${tls.mode})`;
    const message = `Calls to ${at} come ${form}, and its workloads take mutual TLS alone (${by}): they are closed, of HTTP answered 503. Write mode: ISTIO_MUTUAL, or ${TAKE_OUT}.`;
    context.report('SP1070', rule, [...path, 'mode'], message);
  }
  if (tls.mode !== 'ISTIO_MUTUAL' || !taking.every((each) => !each || each.mode === 'DISABLE')) return;
  const why = first ? `take no mutual TLS (${by})` : 'have no proxy';
  const message = `Calls to ${at} come in mutual TLS, and its workloads ${why}: they fail. T${TAKE_OUT.slice(1)}.`;
  context.report('SP1070', rule, [...path, 'mode'], message);
}
