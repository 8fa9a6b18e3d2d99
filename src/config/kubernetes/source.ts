/** A mesh as a cluster says it is, kept up with: the same seam as files (`mesh-source.ts`). */
import { isDeepStrictEqual } from 'node:util';
import { DECODING_CODES } from '../../api/codes.ts';
import { DEFAULT_REVISION } from '../../api/injection.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { Finding } from '../../lib/finding.ts';
import { COALESCE, type CoalesceOptions, Coalescer } from '../coalesce.ts';
import { EndWatch } from '../end-watch.ts';
import type { Listener } from '../follow.ts';
import { KeptMeshConfig, type MeshConfigFound } from '../kept-mesh-config.ts';
import { foundIn, type MeshInput, type MeshSource, readMeshConfig } from '../mesh-source.ts';
import type { Snapshot } from '../snapshot.ts';
import { steadyNow } from '../steady-clock.ts';
import type { ClusterAccess } from './access.ts';
import { ApiClient } from './client.ts';
import { ClusterObjects, type ObjectObserver } from './cluster-objects.ts';
import { isStatus } from './errors.ts';
import { FollowedLists, type Lost } from './followed.ts';
import { type IstioMaps, istioMaps, meshMapListing, meshMapName } from './istio-maps.ts';
import { kindForbidden, PAGES, referenceForbidden } from './read-cluster.ts';
import { type Reference, referencesIn } from './references.ts';
import { REFLECTOR_TIMES, type ReflectorTimes } from './reflector.ts';
import { discover, isDefined, type ServedKind } from './served-kinds.ts';

export interface KubernetesSourceOptions extends IstioMaps {
  readonly access: ClusterAccess;
  /** A file with MeshConfig, in place of the ConfigMap. */
  readonly meshConfig?: string | undefined;
  readonly observer?: ObjectObserver | undefined;
  /** The controllerName of the GatewayClasses whose Gateways are deployed; undefined: none are. */
  readonly gatewayController?: string | undefined;
  readonly times?: Partial<ReflectorTimes & { readonly coalesce: CoalesceOptions; readonly rediscoverMs: number; readonly lostMs: number }>;
}

/** Kinds whose CRD is installed later are found after this, ms. */
const REDISCOVER_MS = 30_000;

/** What can't be followed for so long is told of, ms: connections break off now and then. */
const LOST_MS = 10_000;

/**
 * Reads the cluster; its changes are given to the listener.
 * @throws SallyportError `cluster-unreachable` and the like, `revision-needed`, `mesh-config-unreadable`
 */
export async function openKubernetesSource(options: KubernetesSourceOptions, listener: Listener<MeshInput>): Promise<MeshSource> {
  const source = new KubernetesSource(options, listener);
  try {
    await source.open();
    return source;
  } catch (error) {
    source.close();
    throw error;
  }
}

class KubernetesSource implements MeshSource {
  readonly #options: KubernetesSourceOptions;
  readonly #listener: Listener<MeshInput>;
  readonly #client: ApiClient;
  readonly #objects: ClusterObjects;
  readonly #lists: FollowedLists;
  readonly #kept = new KeptMeshConfig();
  readonly #coalescer: Coalescer;
  readonly #end = new EndWatch(steadyNow, () => this.#coalescer.signal());
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #served = new Map<string, ServedKind>();
  #current: MeshInput | undefined;
  #watching = false;
  #closed = false;
  /** What is done one after the other: taking what came, and reading anew. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: KubernetesSourceOptions, listener: Listener<MeshInput>) {
    const { access, times = {} } = options;
    this.#options = options;
    this.#objects = new ClusterObjects(options.observer, true, options.revision || DEFAULT_REVISION);
    this.#listener = listener;
    this.#client = new ApiClient(access);
    this.#coalescer = new Coalescer(() => void this.#inTurn(() => this.#take(false)).catch(() => undefined), times.coalesce ?? COALESCE);
    const reflector = { ...REFLECTOR_TIMES, ...times };
    this.#lists = new FollowedLists(this.#client, this.#objects, () => this.#watching && this.#coalescer.signal(), reflector);
  }

  get first(): MeshInput {
    return this.#current!;
  }

  /** Reads everything once. */
  async open(): Promise<void> {
    // Whether it is clear which MeshConfig is meant is asked of all of them.
    if (this.#options.meshConfig === undefined) await istioMaps(this.#client, new ClusterObjects(), this.#options);
    await this.#followKinds(await discover(this.#client));
    await this.#followMaps();
    this.#current = await this.#build();
    const { rediscoverMs = REDISCOVER_MS, lostMs = LOST_MS } = this.#options.times ?? {};
    const again = () => void this.#inTurn(() => this.#rediscover()).catch((error: unknown) => this.#fail(error));
    this.#timers.push(setInterval(again, rediscoverMs).unref());
    // That something is lost for so long changes nothing by itself.
    this.#timers.push(setInterval(() => this.#lists.lost().length > 0 && this.#watching && this.#coalescer.signal(), lostMs).unref());
  }

  watch(): void {
    this.#watching = true;
    this.#coalescer.signal();
  }

  reload(): Promise<MeshInput> {
    if (this.#closed) return Promise.reject(ended());
    return this.#inTurn(async () => {
      await this.#rediscover();
      await this.#lists.restart();
      return this.#take(true);
    });
  }

  close(): void {
    this.#closed = true;
    this.#coalescer.close();
    this.#end.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#lists.close();
    this.#client.close();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (this.#closed) throw ended();
      return run();
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #fail(error: unknown): void {
    if (!this.#closed) this.#listener.failed(error);
  }

  /** Gives the listener what there is now, if it is something new or was asked for. */
  async #take(asked: boolean): Promise<MeshInput> {
    const before = this.#current!;
    const now = await this.#build();
    if (this.#closed) throw ended();
    this.#current = now;
    if (asked || now !== before) this.#listener.changed(now);
    return now;
  }

  /** What is known now; the same object as before where that says the same. */
  async #build(): Promise<MeshInput> {
    const before = this.#current;
    const found = await this.#snapshotWithReferences();
    if (found.until !== undefined) this.#end.wait(found.until);
    const snapshot = before && saysTheSame(before.snapshot, found) ? before.snapshot : found;
    const settings = this.#kept.take(await this.#meshConfig(snapshot));
    const mesh = isDeepStrictEqual(settings.mesh, before?.mesh) ? before!.mesh : settings.mesh;
    const { lostMs = LOST_MS } = this.#options.times ?? {};
    const lost = this.#lists.lost().filter(({ since }) => Date.now() - since >= lostMs);
    const findings = [...settings.findings, ...notFollowed(lost)];
    const same = before && snapshot === before.snapshot && mesh === before.mesh && isDeepStrictEqual(findings, before.findings);
    return same ? before : { snapshot, mesh, findings };
  }

  /** Secrets and the like are followed as soon as something refers to them. */
  async #snapshotWithReferences(): Promise<Snapshot> {
    const snapshot = this.#objects.snapshot();
    const wanted = new Map(referencesIn(snapshot, this.#options.gatewayController).map((each) => [referenceName(each), each]));
    for (const name of this.#lists.names()) if (name.startsWith(REFERENCE) && !wanted.has(name)) this.#lists.drop(name, true);
    const fresh = [...wanted].filter(([name]) => !this.#lists.has(name));
    if (fresh.length === 0) return this.#objects.snapshot();
    // One that can't be read is a finding, or told of as lost: the others need not wait for it.
    await Promise.allSettled(fresh.map(([name, reference]) => this.#followReference(name, reference)));
    return this.#objects.snapshot();
  }

  #followReference(name: string, reference: Reference): Promise<void> {
    const { kind } = reference;
    const resource = kind === 'Secret' ? 'secrets' : 'configmaps';
    return this.#lists.follow({
      name,
      path: `/api/v1/namespaces/${encodeURIComponent(reference.namespace)}/${resource}`,
      query: { fieldSelector: `metadata.name=${reference.name}` },
      listing: this.#objects.listing({ kind, apiVersion: 'v1' }),
      forbidden: (said) => [referenceForbidden(reference, said)],
    });
  }

  async #followMaps(): Promise<void> {
    const { istioNamespace, revision, meshConfig } = this.#options;
    if (meshConfig !== undefined) return;
    const name = meshMapName(revision);
    await this.#lists.follow({
      name: `ConfigMap ${istioNamespace}/${name}`,
      path: `/api/v1/namespaces/${encodeURIComponent(istioNamespace)}/configmaps`,
      query: { fieldSelector: `metadata.name=${name}` },
      listing: meshMapListing(this.#objects, revision),
      forbidden: (said) => [referenceForbidden({ kind: 'ConfigMap', namespace: istioNamespace, name }, said)],
    });
  }

  /** Settings that can't be read must not pass for Istio's defaults, which let everything out. */
  async #meshConfig(snapshot: Snapshot): Promise<MeshConfigFound> {
    const { istioNamespace, revision, meshConfig } = this.#options;
    if (meshConfig !== undefined) return readMeshConfig(meshConfig);
    const found = foundIn(snapshot);
    const name = meshMapName(revision);
    const unread = snapshot.findings.find(
      ({ code, origin }) => code === 'SP0016' && origin.kind === 'ConfigMap' && origin.namespace === istioNamespace && origin.name === name,
    );
    if (found.kind !== 'none' || !unread) return found;
    return { kind: 'unreadable', file: `cluster: ConfigMap ${istioNamespace}/${name}`, reason: unread.message, passes: true };
  }

  async #followKinds(kinds: readonly ServedKind[]): Promise<void> {
    const fresh = kinds.filter(({ resource }) => !this.#lists.has(resource));
    for (const kind of fresh) this.#served.set(kind.resource, kind);
    await Promise.all(
      fresh.map(async (kind) => {
        try {
          await this.#lists.follow({
            name: kind.resource,
            path: kind.path,
            limit: PAGES[kind.kind],
            listing: this.#objects.listing(kind),
            forbidden: (said) => [kindForbidden(kind, said)],
          });
        } catch (error) {
          // Its CRD has gone meanwhile.
          if (!isStatus(error, 404) || (await isDefined(this.#client, kind.resource))) throw error;
          this.#lists.drop(kind.resource, true);
          this.#served.delete(kind.resource);
        }
      }),
    );
  }

  /** Kinds whose CRD has come are followed, and the objects of one whose CRD was deleted are gone with it. */
  async #rediscover(): Promise<void> {
    const kinds = await discover(this.#client);
    const served = new Set(kinds.map(({ resource }) => resource));
    for (const [resource] of this.#served) {
      if (served.has(resource) || (await isDefined(this.#client, resource))) continue;
      this.#lists.drop(resource, true);
      this.#served.delete(resource);
    }
    await this.#followKinds(kinds);
  }
}

const REFERENCE = 'reference ';

function referenceName({ kind, namespace, name }: Reference): string {
  return `${REFERENCE}${kind} ${namespace}/${name}`;
}

function saysTheSame(before: Snapshot, after: Snapshot): boolean {
  return before.all() === after.all() && before.findings === after.findings;
}

/** One finding for all: mostly it is the API server that is away. */
function notFollowed(lost: readonly Lost[]): Finding[] {
  if (lost.length === 0) return [];
  const since = new Date(Math.min(...lost.map(({ since }) => since))).toISOString();
  const names = lost.map(({ name }) => name.replace(REFERENCE, ''));
  const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  const message = `not kept up with since ${since}: ${shown}. What was read last stays in force. ${lost[0]!.why}`;
  return [{ code: 'SP0010', level: DECODING_CODES.SP0010.level, message, origin: { kind: '', namespace: '', name: 'cluster' } }];
}

function ended(): SallyportError {
  return new SallyportError('ended', 'the cluster is not followed any more');
}
