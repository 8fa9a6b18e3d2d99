/** Files that are one configuration, as they stand in the editor: what is wrong with them, which names they have, what applies to a host. */

import { fileAnalysisSteps } from '../analysis/files.ts';
import { type Decoded, decodeDocuments } from '../api/documents.ts';
import { KINDS, type Kind } from '../api/index.ts';
import type { MeshConfigDecoded } from '../api/mesh-config-document.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { loadMeshNetworks } from '../config/mesh-networks.ts';
import { LARGEST_FILE, tooLarge } from '../config/read.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';
import { codeOf } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { sortFindings } from '../lib/finding-form.ts';
import { type Description, describe, type Subject } from '../prove/describe.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import { Names } from './names.ts';
import { TextLines } from './text.ts';

/** What `describe` throws of names that nothing has. */
const NOT_THERE: ReadonlySet<string> = new Set(['no-such-host', 'no-such-workload']);

export interface ConfigurationSettings {
  /** Of objects that name none. */
  readonly namespace: string;
  readonly hints: boolean;
}

/** What follows from one state of the files. */
interface State {
  readonly snapshot: Snapshot;
  names?: Names;
  simulated?: SimulatedFiles;
}

export class Configuration {
  readonly root: string;
  readonly #settings: ConfigurationSettings;
  readonly #store = new Store();
  /** What each file was taken in as. */
  readonly #marks = new Map<string, string>();
  readonly #lines = new Map<string, TextLines>();
  #order: readonly string[] = [];
  #meshConfig: MeshConfigDecoded | undefined;
  #state: State | undefined;

  constructor(root: string, settings: ConfigurationSettings) {
    this.root = root;
    this.#settings = settings;
  }

  has(file: string): boolean {
    return this.#marks.has(file);
  }

  /** Forgets files that are not among these, and takes their order. */
  keep(files: readonly string[]): void {
    const present = new Set(files);
    for (const file of [...this.#marks.keys()].filter((known) => !present.has(known))) {
      this.#marks.delete(file);
      this.#lines.delete(file);
      this.#store.delete(file);
      this.#state = undefined;
    }
    if (files.some((file, i) => file !== this.#order[i])) this.#state = undefined;
    this.#order = files;
  }

  /** @param mark the same as before where the content is; empty: not known */
  set(file: string, mark: string, content: TextLines | Decoded): void {
    if (mark !== '' && this.#marks.get(file) === mark) return;
    this.#marks.set(file, mark);
    this.#state = undefined;
    if (!(content instanceof TextLines)) {
      this.#lines.delete(file);
      this.#store.set(file, content);
      return;
    }
    const { text } = content;
    const before = this.#store.decoded(file);
    const { namespace } = this.#settings;
    this.#lines.set(file, content);
    this.#store.set(file, text.length > LARGEST_FILE ? tooLarge(file, text.length) : decodeDocuments(text, file, { namespace, before }));
  }

  /** Undefined: what the objects say. */
  useMeshConfig(decoded: MeshConfigDecoded | undefined): void {
    if (decoded !== undefined || this.#meshConfig !== undefined) this.#state = undefined;
    this.#meshConfig = decoded;
  }

  get snapshot(): Snapshot {
    return this.#present().snapshot;
  }

  get names(): Names {
    const state = this.#present();
    state.names ??= new Names(state.snapshot);
    return state.names;
  }

  /** What a file says, in the state that the snapshot is of. */
  lines(file: string): TextLines | undefined {
    return this.#lines.get(file);
  }

  #present(): State {
    if (this.#store.isOver()) this.#state = undefined;
    this.#state ??= { snapshot: this.#store.snapshot(this.#order) };
    return this.#state;
  }

  #mesh(snapshot: Snapshot): MeshConfigDecoded {
    return this.#meshConfig ?? loadMeshConfig(snapshot);
  }

  /** What applies to a host or a workload; undefined where there is none of the name. */
  describe(subject: Subject): Description | undefined {
    const state = this.#present();
    const { config, position } = this.#mesh(state.snapshot);
    state.simulated ??= simulateFiles(state.snapshot, config, position);
    try {
      return describe(state.simulated, subject);
    } catch (error) {
      if (NOT_THERE.has(codeOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  /** Everything that is wrong, in steps. @param now ms since the epoch: certificates are judged by it */
  *findings(now: number): Generator<void, readonly Finding[]> {
    const { snapshot } = this.#present();
    const { config: mesh, findings } = this.#mesh(snapshot);
    const { networks: meshNetworks, findings: networkFindings } = loadMeshNetworks(snapshot);
    const { hints } = this.#settings;
    const found = yield* fileAnalysisSteps(
      { snapshot, mesh, meshNetworks, defaultGateways: true, now },
      { hints, also: [...findings, ...networkFindings] },
    );
    const reading = new Set(snapshot.findings);
    return sortFindings(found.filter((finding) => reading.has(finding) || !this.#isStale(snapshot, finding)));
  }

  /** Whether a finding is about an object that the file does not say any more: it stands in for one that is being written, at places that are gone. */
  #isStale(snapshot: Snapshot, { origin, position }: Finding): boolean {
    const text = position && this.#lines.get(position.file)?.text;
    if (text === undefined || !Object.hasOwn(KINDS, origin.kind)) return false;
    const source = snapshot.get(origin.kind as Kind, origin.namespace, origin.name)?.source;
    if (source?.file !== position!.file) return false;
    return (source.parts?.()?.text ?? text) !== text;
  }
}
