/** For tests of the control plane: engines that keep what they are told, and inputs from text. */
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import type { Engine, Refusal } from '../engine/contract.ts';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';

export const inputOf = (text: string): MeshInput => ({ snapshot: snapshotFromText(text), mesh: defaultMeshConfig(), findings: [] });

export const entryText = (host: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.split('.')[0]}, namespace: default }
spec: { hosts: [${host}], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1 }] }
---`;

/** Keeps what it is told, and refuses what `refuse` says. */
export class RecordingEngine implements Engine {
  readonly name = 'embedded';
  readonly failed = new Promise<Error>(() => {});
  readonly updates: XdsUpdate[] = [];
  readonly resources: XdsResources[] = [];
  reopened = 0;
  refuse: (key: string) => boolean = () => false;
  readonly closed: Promise<number>;
  #close: (graceMs: number) => void = () => {};
  #held: (() => void)[] | undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** From now on changes come into force only when `release` is called. */
  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  async apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    this.updates.push(update);
    this.resources.push(resources);
    if (this.#held) await new Promise<void>((resolve) => this.#held!.push(resolve));
    return update.changed
      .map(({ type, name }) => `${type}/${name}`)
      .filter((key) => this.refuse(key))
      .map((key) => ({ resource: key, message: 'no', key }));
  }

  async reopenLogs(): Promise<void> {
    this.reopened += 1;
  }

  async close(graceMs: number): Promise<void> {
    this.#close(graceMs);
  }

  changed(index: number): string[] {
    return this.updates[index]!.changed.map(({ type, name }) => `${type}/${name}`);
  }
}
