/** Deploys the Gateways of the Kubernetes Gateway API, says of its objects and of EgressPolicies what becomes of them, and of Istio's what is found: the one of several controllers that holds the Lease. */
import { MESSAGES } from '../../analysis/messages.ts';
import { DECODING_CODES } from '../../api/codes.ts';
import { DEFAULT_CLASS, GATEWAY_API, SALLYPORT_CONTROLLER } from '../../api/gateway-api/common.ts';
import type { MeshConfig, ResourceOf } from '../../api/index.ts';
import { DEFAULT_REVISION, revisionOf } from '../../api/injection.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { isManaged } from '../../gateway-api/gateways.ts';
import { listenersOf } from '../../gateway-api/listener-sets.ts';
import { gatewayApiStatuses, type Infrastructure } from '../../gateway-api/status/index.ts';
import { eventOf } from '../../kube/finding-events.ts';
import { infrastructureOf } from '../../kube/gateways/addresses.ts';
import { GatewayApplier } from '../../kube/gateways/apply.ts';
import { deployedName, gatewayObjects } from '../../kube/gateways/objects.ts';
import { classParameters, parametersOf } from '../../kube/gateways/parameters.ts';
import type { InjectionOptions } from '../../kube/injection/settings.ts';
import { Election, type ElectionTimes } from '../../kube/leader-election.ts';
import type { ObservedObjects } from '../../kube/observed.ts';
import { pathOf, pathOfAll } from '../../kube/paths.ts';
import { analysisStatuses, passedAnalysis } from '../../kube/status/analysis.ts';
import { type WrittenStatus, writeStatuses } from '../../kube/status/writer.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { Finding } from '../../lib/finding.ts';
import { table } from '../../lib/table.ts';
import { policyStatuses, type Wanted } from '../../policy/status.ts';
import { credentialValue, shownCertificate } from '../../translate/credential-value.ts';
import { FIELD_MANAGER, Upkeep } from './upkeep.ts';

/** What is kept of the Gateway API. */
export interface GatewayDuties {
  /** Of whose classes the Gateways are ours. */
  readonly controller: string;
  /** Name of the ConfigMap beside the control plane that the class of its own making refers to; undefined for none. */
  readonly parameters?: string | undefined;
  /** Told of the cluster's objects by whoever reads them. */
  readonly observed: ObservedObjects;
  readonly injection: Omit<InjectionOptions, 'mesh'>;
  /** Who this controller is among its replicas. */
  readonly identity: string;
  readonly times?: ElectionTimes | undefined;
}

export interface GatewayKeeperOptions extends GatewayDuties {
  readonly client: ApiClient;
  /** Where the Lease is. */
  readonly namespace: string;
  /** Of this control plane, empty for the one without a name: each has a Lease of its own. */
  readonly revision: string;
  /** What is found now. */
  readonly findings: () => readonly Finding[];
  readonly failed: (error: unknown) => void;
}

/** Findings of one moment that become Events: who brings thousands of them needs no more to know of it. */
const MOST_EVENTS = 100;

/** Kinds of origins that are called otherwise among those that are written. */
const GATEWAYS = table<string>({ KubernetesGateway: 'Gateway', Gateway: 'IstioGateway' });
const NAMES = table<{ readonly name: string } | undefined>({ ...DECODING_CODES, ...MESSAGES });

type Gateway = ResourceOf<'KubernetesGateway'>;

export class GatewayKeeper {
  readonly #options: GatewayKeeperOptions;
  readonly #upkeep: Upkeep;
  readonly #election: Election;
  readonly #applier: GatewayApplier;
  /** Found and not yet written. */
  readonly #events: { readonly finding: Finding; readonly mended: boolean }[] = [];
  /** Since it leads: what it was installed with may be other than before. */
  #declared = false;
  #seen: { readonly snapshot: Snapshot; readonly mesh: MeshConfig } | undefined;

  constructor(options: GatewayKeeperOptions) {
    const { client, observed, controller, namespace, revision, identity, failed, times } = options;
    this.#options = options;
    this.#upkeep = new Upkeep(() => this.#run(), failed);
    this.#election = new Election({
      client,
      namespace,
      name: revision === '' || revision === 'default' ? 'sallyport-leader' : `sallyport-leader-${revision}`,
      identity,
      changed: (leads) => {
        this.#applier.forget();
        this.#declared = false;
        if (!leads) return;
        // What was found before, the one told who led then.
        if (this.#election.followed) this.#events.length = 0;
        this.#upkeep.due();
      },
      failed,
      times,
    });
    this.#applier = new GatewayApplier({
      client,
      observed,
      controller,
      fieldManager: FIELD_MANAGER,
      revision: revision || DEFAULT_REVISION,
      leads: () => this.#election.leads,
    });
    observed.follow(() => this.#upkeep.due());
  }

  /** What the cluster holds now. */
  see(snapshot: Snapshot, mesh: MeshConfig): void {
    this.#seen = { snapshot, mesh };
    this.#upkeep.due();
  }

  /** Findings as Events of their objects; those of one moment no more than so many. */
  tell(fresh: readonly Finding[], mended: readonly Finding[]): void {
    const all = [...fresh.map((finding) => ({ finding, mended: false })), ...mended.map((finding) => ({ finding, mended: true }))];
    this.#events.push(...all.slice(0, MOST_EVENTS));
    this.#events.splice(0, this.#events.length - MOST_EVENTS);
    this.#upkeep.due();
  }

  async #writeEvents(): Promise<void> {
    const { observed, controller, identity, client } = this.#options;
    for (const { finding, mended } of this.#events.splice(0)) {
      const { kind, namespace, name } = finding.origin;
      const uid = observed.get(GATEWAYS[kind] ?? kind, namespace, name)?.metadata.uid;
      const event = eventOf(finding, mended, { uid, controller, identity, now: Date.now() });
      if (!event || !this.#election.leads) continue;
      const path = pathOfAll('Event', event.metadata.namespace);
      // An Event that can't be written is no reason to stop: the finding stands in the status and is said.
      await client
        .send('POST', path, event)
        .catch((error: unknown) => isStatus(error, 404) || isStatus(error, 409) || this.#options.failed(error));
    }
  }

  /** Gives the Lease back. */
  async close(): Promise<void> {
    this.#upkeep.close();
    await this.#election.close();
  }

  async #run(): Promise<void> {
    if (!this.#election.leads || !this.#seen) return;
    const { snapshot, mesh } = this.#seen;
    const { observed, controller, client } = this.#options;
    const leads = () => this.#election.leads;
    await this.#declareClass();
    const { refused, failures } = await this.#deploy(snapshot, mesh);
    const infrastructure = (gateway: Gateway) => infrastructureOf(gateway, snapshot, observed, refused.get(gateway));
    const findings = this.#options.findings();
    const wanted = [
      ...gatewayApiStatuses(snapshot, { controller, infrastructure, classProblem: (each) => classProblem(each, snapshot) }),
      ...analysisStatuses(findings, observed, (code) => NAMES[code]?.name ?? code),
      ...egressPolicyStatuses(snapshot, observed, findings),
    ];
    const unwritten = await writeStatuses(wanted, { client, observed, controller, leads, now: Date.now });
    await this.#writeEvents();
    const [first] = [...failures, ...unwritten];
    if (first) throw first;
  }

  /** Istio makes its class itself, too. Parameters that somebody else gave it stay. */
  async #declareClass(): Promise<void> {
    const { observed, controller, client, parameters, namespace } = this.#options;
    if (controller !== SALLYPORT_CONTROLLER || (this.#declared && observed.get('GatewayClass', '', DEFAULT_CLASS))) return;
    const object = {
      apiVersion: `${GATEWAY_API}/v1`,
      kind: 'GatewayClass',
      metadata: { name: DEFAULT_CLASS },
      spec: {
        controllerName: controller,
        description: 'Gateways that Sallyport deploys and serves',
        ...(parameters && { parametersRef: { group: '', kind: 'ConfigMap', name: parameters, namespace } }),
      },
    };
    const path = `${pathOf('GatewayClass', '', DEFAULT_CLASS)}?fieldManager=${FIELD_MANAGER}`;
    await client.send('PATCH', path, object, 'application/apply-patch+yaml').catch((error: unknown) => {
      if (!isStatus(error, 409)) throw error;
    });
    this.#declared = true;
  }

  /** What each Gateway runs on is made. Refused are those that ask for what is not to be had, with the reason. */
  async #deploy(snapshot: Snapshot, mesh: MeshConfig) {
    const { observed, controller, injection, revision } = this.#options;
    const refused = new Map<Gateway, NonNullable<Infrastructure['problem']>>();
    const failures: unknown[] = [];
    const wanted = new Set<string>();
    for (const gateway of snapshot.list('KubernetesGateway')) {
      const { namespace, name } = gateway.metadata;
      const declared = snapshot.get('GatewayClass', '', gateway.spec.gatewayClassName);
      // A class that is taken away takes no proxies away.
      if (!declared) wanted.add(`${namespace}/${deployedName(gateway)}`);
      if (declared?.spec.controllerName !== controller || !isManaged(gateway)) continue;
      wanted.add(`${namespace}/${deployedName(gateway)}`);
      // Of several control planes one deploys it: that of its revision, else the one without a name.
      if (revisionOf(gateway.metadata.labels) !== (revision || DEFAULT_REVISION)) continue;
      const known = observed.get('Gateway', namespace, name);
      if (!known || known.metadata.deleted) continue;
      try {
        const listeners = listenersOf(snapshot, gateway);
        const parameters = parametersOf(gateway, snapshot);
        await this.#applier.apply(gatewayObjects(gateway, listeners, known.metadata.uid, controller, { ...injection, mesh }, parameters));
      } catch (error) {
        const itsOwn = error instanceof SallyportError && !error.code.startsWith('cluster-');
        refused.set(gateway, { reason: itsOwn ? 'InvalidParameters' : 'NoResources', message: messageOf(error) });
        // What the Gateway says is told in its status, what the cluster says here too.
        if (!itsOwn) failures.push(error);
      }
    }
    failures.push(...(await this.#applier.prune(wanted)));
    return { refused, failures };
  }
}

function egressPolicyStatuses(snapshot: Snapshot, observed: ObservedObjects, findings: readonly Finding[]): WrittenStatus[] {
  const objects = observed.list('EgressPolicy');
  if (objects.length === 0) return [];
  const errors = snapshot.findings.filter(
    ({ level, origin, code }) => level === 'Error' && origin.kind === 'EgressPolicy' && code !== 'SP0018',
  );
  const missing = ({ what, name }: Wanted) =>
    what === 'value' ? credentialValue(name, snapshot).problem : certificateProblem(name, snapshot);
  const statuses = policyStatuses(objects, snapshot.list('EgressPolicy'), errors, snapshot.asOf ?? Date.now(), missing);
  return statuses.map(({ object, conditions }) => {
    const { namespace, name } = object.metadata;
    const about = findings.filter(({ origin }) => origin.kind === 'EgressPolicy' && origin.namespace === namespace && origin.name === name);
    const passed = passedAnalysis(conditions[0]?.observedGeneration, about);
    return { kind: 'EgressPolicy', namespace, name, status: { conditions: [...conditions, passed] } };
  });
}

function certificateProblem(place: string, snapshot: Snapshot): string | undefined {
  const [namespace = '', name = ''] = place.split('/');
  return shownCertificate(place, { namespace, name }, snapshot).problem;
}

function classProblem(resource: ResourceOf<'GatewayClass'>, snapshot: Snapshot): string | undefined {
  try {
    classParameters(resource, snapshot);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
