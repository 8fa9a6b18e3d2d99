/** One configuration with its calls, through the simulator and through the running mesh. */
import { stringify } from 'yaml';
import { decodeDocuments } from '../../src/api/documents.ts';
import { type SimulatedFiles, simulateFiles } from '../../src/cli/simulated.ts';
import { Store } from '../../src/config/store.ts';
import type { Call } from '../../src/simulate/call.ts';
import { waysOf } from '../../src/simulate/explore.ts';
import type { Trace } from '../../src/simulate/trace.ts';
import { translate } from '../../src/translate/index.ts';
import type { XdsResources } from '../../src/xds/resources.ts';
import { fixedObjects } from '../calls/loopback/fixed-objects.ts';
import { type Pod, resolveInPod } from '../calls/loopback/topology.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { differences, expectationOf, observe } from './agreement.ts';
import { callOf, type Sketch } from './calls.ts';
import { requestText } from './client.ts';
import type { Configuration } from './configurations.ts';
import { ACCESS_LOG, type RunningMesh } from './running-mesh.ts';

/** What was compared. */
export interface Tally {
  pairs: number;
  /** Calls that simulation leaves undecided. */
  undecided: number;
  /** By how they ended: `answered 200 by a server after 2 proxies`. */
  readonly outcomes: Map<string, number>;
}

export function newTally(): Tally {
  return { pairs: 0, undecided: 0, outcomes: new Map() };
}

export class Pairs {
  readonly #mesh: RunningMesh;
  readonly #fixed: ReturnType<typeof decodeDocuments>;
  readonly #names: ReadonlySet<string>;

  constructor(mesh: RunningMesh) {
    this.#mesh = mesh;
    this.#fixed = decodeDocuments(fixedObjects(mesh.certificates), 'fixed.yaml');
    this.#names = new Set(mesh.certificates.hosts.keys());
  }

  files({ mesh, documents }: Configuration): SimulatedFiles {
    const store = new Store();
    store.set('fixed.yaml', this.#fixed);
    store.set('generated.yaml', decodeDocuments(yamlOf(documents), 'generated.yaml'));
    return simulateFiles(store.snapshot(), meshConfigOf({ ...ACCESS_LOG, ...mesh }));
  }

  /** Brings a configuration into force. Throws if a proxy refuses a part of it. */
  async apply(files: SimulatedFiles): Promise<void> {
    const sets = new Map<string, XdsResources>();
    for (const identity of files.proxies) {
      const name = `${identity.namespace}/${identity.name}`;
      if (this.#mesh.proxies.includes(name)) sets.set(name, translate(identity, files.mesh).resources);
    }
    const rejected = await this.#mesh.apply(sets);
    if (rejected.length > 0) throw new Error(`the data plane refuses: ${rejected.join('; ')}`);
  }

  /** Throws, with YAML and call, if simulation and running mesh disagree. */
  async check(configuration: Configuration, sketches: readonly Sketch[], tally: Tally): Promise<void> {
    const files = this.files(configuration);
    try {
      await this.apply(files);
    } catch (error) {
      throw new Error(`${String(error)}\n${describeConfiguration(configuration)}`, { cause: error });
    }
    await Promise.all(
      sketches.map(async (sketch) => {
        const found = callOf(sketch, (name, pod) => lookup(files, name, pod));
        if (!found) return;
        const differing = await this.compare(files, found.pod, found.call, tally);
        if (differing) throw new Error(`${differing}\n\n${describeCall(found.pod, found.call)}\n${describeConfiguration(configuration)}`);
      }),
    );
  }

  /** Makes a call both ways; what differs, as text. */
  async compare(files: SimulatedFiles, pod: Pod, call: Call, tally: Tally): Promise<string | undefined> {
    const proxy = pod.kind === 'sidecar' ? files.proxy(`${pod.namespace}/${pod.name}`) : undefined;
    const traces = [...waysOf(files.simulated, proxy, call)];
    const expectations = traces.map((trace) => expectationOf(call, trace, this.#names)).filter((one) => one !== undefined);
    tally.pairs++;
    if (expectations.length < traces.length) {
      tally.undecided++;
      return undefined;
    }
    const observed = await observe(this.#mesh, pod, call, expectations);
    const kind = `${observed.reply.kind} ${observed.reply.status} by ${observed.reply.seen ? 'a server' : 'a proxy'} after ${traces[0]!.hops.length} proxies`;
    tally.outcomes.set(kind, (tally.outcomes.get(kind) ?? 0) + 1);
    const all = expectations.map((expected) => differences(expected, observed));
    if (all.some((lines) => lines.length === 0)) return undefined;
    const nearest = all.reduce((best, lines) => (lines.length < best.length ? lines : best));
    return [...nearest, '', ...traces.map(describeTrace)].join('\n');
  }
}

/** As an application in the pod looks a name up: the proxy's name table, then DNS. */
export function lookup(files: SimulatedFiles, name: string, { namespace, name: pod, kind }: Pod): readonly string[] {
  if (kind !== 'sidecar') return resolveInPod(name, namespace);
  const { table } = files.nameTable(files.proxy(`${namespace}/${pod}`));
  const dot = name.indexOf('.');
  const known = table[name.toLowerCase()] ?? table[`*${name.slice(dot).toLowerCase()}`];
  return known ? known.ips : resolveInPod(name, namespace);
}

function yamlOf(documents: readonly object[]): string {
  return documents.map((document) => stringify(document)).join('---\n');
}

export function describeConfiguration({ mesh, documents }: Configuration): string {
  return `MeshConfig: ${JSON.stringify(mesh)}\n${yamlOf(documents)}`;
}

export function describeCall(pod: Pod, { destination, payload }: Call): string {
  const tls = payload.tls ? `, TLS with SNI ${payload.tls.serverName || '(none)'} and ALPN ${payload.tls.alpn.join() || '(none)'}` : '';
  const what = payload.http ? `\n${requestText(payload.http, 0).trim().replaceAll(/^/gm, '    ')}` : ', bytes';
  return `${pod.name} calls ${destination.ip}:${destination.port}${tls}${what}`;
}

function describeTrace({ hops, outcome }: Trace): string {
  const lines = hops.flatMap(({ proxy, steps, flag }) => [
    `  ${proxy} ${flag}`,
    ...steps.map(({ kind, name, text }) => `    ${kind} ${name}: ${text}`),
  ]);
  return `simulated:\n${lines.join('\n')}\n  ${JSON.stringify(outcome)}`;
}
