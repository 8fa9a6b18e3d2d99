/** Brings resources into force: one snapshot at a time, translated for each proxy and handed to its engine as a change. */
import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Engine, Refusal } from '../engine/contract.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { buildRegistry } from '../registry/index.ts';
import { translate } from '../translate/index.ts';
import type { Mesh } from '../translate/model.ts';
import type { XdsResources } from '../xds/resources.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, unsettled, updateBetween } from '../xds/update.ts';

/** What resources come from: files with the objects of `up` laid over them. */
export interface Input {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
}

export interface ProxyState {
  readonly identity: ProxyIdentity;
  /** Hash of the xDS in force; empty before the first. */
  readonly version: string;
  readonly refusals: readonly Refusal[];
  readonly resources: XdsResources;
}

/** What is in force. */
export interface Report {
  /** The snapshot's number. */
  readonly snapshot: number;
  /** Of decoding, registry and translation. */
  readonly findings: readonly Finding[];
  readonly proxies: readonly ProxyState[];
  /** What was translated. */
  readonly mesh: Mesh;
}

interface Managed {
  identity: ProxyIdentity;
  readonly engine: Engine;
  /** What was refused is unsettled in it: tried again with the next change. */
  inForce: EncodedSet;
  version: string;
  resources: XdsResources;
  refusals: readonly Refusal[];
}

/** Which proxies there are to be for a mesh; called for each snapshot. Those of a key that stays keep their engine. */
export type ProxiesFor = (mesh: Mesh) => ReadonlyMap<string, ProxyIdentity>;
export type StartEngine = (key: string, identity: ProxyIdentity) => Promise<Engine>;

export interface ControlPlaneOptions {
  readonly proxiesFor: ProxiesFor;
  readonly startEngine: StartEngine;
  /** Changes a proxy's xDS before it is encoded; `up` leaves out listeners that nobody reaches. */
  readonly adapt?: (resources: XdsResources, identity: ProxyIdentity) => XdsResources;
  /** Time for running requests of a proxy that is no longer wanted, ms. */
  readonly graceMs: number;
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #proxies = new Map<string, Managed>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  /** Brings the input into force, after those that came before it; resolves when every proxy serves it. */
  apply(input: Input): Promise<Report> {
    const turn = this.#turn.then(() => this.#apply(input));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Drains and ends every proxy. */
  async close(graceMs: number): Promise<void> {
    await this.#turn;
    await Promise.all([...this.#proxies.values()].map(({ engine }) => engine.close(graceMs)));
    this.#proxies.clear();
  }

  async #apply({ snapshot, mesh: config }: Input): Promise<Report> {
    const { registry, findings: registryFindings } = buildRegistry(snapshot, config);
    const mesh: Mesh = { snapshot, registry, config };
    const findings: Finding[] = [...snapshot.findings, ...registryFindings];
    const wanted = this.#options.proxiesFor(mesh);
    const changes: { readonly managed: Managed; readonly resources: XdsResources }[] = [];
    for (const [key, identity] of wanted) {
      const { resources: translated, findings: own } = translate(identity, mesh);
      const resources = this.#options.adapt?.(translated, identity) ?? translated;
      findings.push(...own);
      const managed = this.#proxies.get(key) ?? (await this.#start(key, identity, resources));
      managed.identity = identity;
      changes.push({ managed, resources });
    }
    await Promise.all(changes.map(({ managed, resources }) => bringIntoForce(managed, resources)));
    await this.#endUnwanted(wanted);
    const proxies = [...this.#proxies.values()].map(({ identity, version, refusals, resources }) => ({
      identity,
      version,
      refusals,
      resources,
    }));
    return { snapshot: snapshot.version, findings, proxies, mesh };
  }

  async #start(key: string, identity: ProxyIdentity, resources: XdsResources): Promise<Managed> {
    const engine = await this.#options.startEngine(key, identity);
    const managed: Managed = { identity, engine, inForce: EMPTY_SET, version: '', resources, refusals: [] };
    this.#proxies.set(key, managed);
    return managed;
  }

  async #endUnwanted(wanted: ReadonlyMap<string, ProxyIdentity>): Promise<void> {
    for (const [key, { engine }] of this.#proxies) {
      if (wanted.has(key)) continue;
      this.#proxies.delete(key);
      await engine.close(this.#options.graceMs);
    }
  }
}

async function bringIntoForce(managed: Managed, resources: XdsResources): Promise<void> {
  const set = encodeSet(resources);
  const update = updateBetween(managed.inForce, set);
  if (!update) return;
  const refusals = await managed.engine.apply(resources, update);
  const refused = new Set(refusals.map(({ key }) => key));
  managed.inForce = unsettled(set, refused);
  managed.version = set.version;
  managed.resources = resources;
  managed.refusals = refusals;
}
