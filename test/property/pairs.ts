/** One configuration with its calls, through the simulator and through the running mesh. */
import { stringify } from 'yaml';
import { decodeDocuments } from '../../src/api/documents.ts';
import { Identities } from '../../src/ca/identities.ts';
import { Store } from '../../src/config/store.ts';
import { spiffeId } from '../../src/lib/spiffe.ts';
import { type SimulatedFiles, simulateFiles } from '../../src/prove/simulated.ts';
import type { Call } from '../../src/simulate/call.ts';
import { waysOf } from '../../src/simulate/explore.ts';
import type { Trace } from '../../src/simulate/trace.ts';
import { translate } from '../../src/translate/index.ts';
import type { XdsResources } from '../../src/xds/resources.ts';
import { fixedObjects } from '../calls/loopback/fixed-objects.ts';
import { type Pod, resolveInPod } from '../calls/loopback/topology.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { differences, expectationOf, isServed, observe } from './agreement.ts';
import { callOf, declaredBy, type Sketch } from './calls.ts';
import { requestText } from './client.ts';
import type { Configuration } from './configurations.ts';
import { ACCESS_LOG, type RunningMesh } from './running-mesh.ts';

/** What was compared. */
export interface Tally {
  pairs: number;
  /** Calls that simulation leaves undecided. */
  undecided: number;
  /** Calls that agreed only once the connections of earlier configurations were closed. */
  second: number;
  /** By how they ended: `answered 200 by a server after 2 proxies`. */
  readonly outcomes: Map<string, number>;
}

export function newTally(): Tally {
  return { pairs: 0, undecided: 0, second: 0, outcomes: new Map() };
}

/** Makes the gateway's pod a router, whatever else is generated. */
export const ROUTER = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'router', namespace: 'istio-system' },
  spec: {
    selector: { istio: 'egressgateway' },
    servers: [{ port: { number: 15443, name: 'tls', protocol: 'TLS' }, tls: { mode: 'PASSTHROUGH' }, hosts: ['none.invalid'] }],
  },
};

export class Pairs {
  readonly #mesh: RunningMesh;
  readonly #identities = new Identities(undefined, Date.now);
  readonly #fixed: ReturnType<typeof decodeDocuments>;
  readonly #names: ReadonlySet<string>;

  constructor(mesh: RunningMesh) {
    this.#mesh = mesh;
    this.#fixed = decodeDocuments(`${fixedObjects(mesh.certificates)}---\n${stringify(ROUTER)}`, 'fixed.yaml');
    this.#names = new Set(mesh.certificates.hosts.keys());
  }

  files({ mesh, documents }: Configuration): SimulatedFiles {
    const store = new Store();
    store.set('fixed.yaml', this.#fixed);
    store.set('generated.yaml', decodeDocuments(yamlOf(documents), 'generated.yaml'));
    return simulateFiles(store.snapshot(), meshConfigOf({ ...ACCESS_LOG, ...mesh }));
  }

  /** Brings a configuration into force, or none at all; returns what proxies refuse of it. */
  async apply(files?: SimulatedFiles): Promise<string | undefined> {
    const sets = new Map<string, XdsResources>();
    for (const identity of files?.proxies ?? []) {
      const name = `${identity.namespace}/${identity.name}`;
      if (!this.#mesh.proxies.includes(name)) continue;
      const { resources, wantsIdentity } = translate(identity, files!.mesh);
      const { trustDomain } = files!.mesh.config;
      const own = wantsIdentity
        ? this.#identities.secretsOf(trustDomain, spiffeId(trustDomain, identity.namespace, identity.serviceAccount))
        : [];
      sets.set(name, { ...resources, secrets: [...resources.secrets, ...own].sort((a, b) => (a.name < b.name ? -1 : 1)) });
    }
    const rejected = await this.#mesh.apply(sets);
    return rejected.length > 0 ? `the data plane refuses: ${rejected.join('; ')}` : undefined;
  }

  /** Throws, with YAML and call, if simulation and running mesh disagree. */
  async check(configuration: Configuration, sketches: readonly Sketch[], tally: Tally): Promise<void> {
    const found = await this.disagreements(configuration, sketches, tally);
    if (found.length > 0) throw new Error(found[0]);
  }

  /** Every disagreement, with YAML and call. */
  async disagreements(configuration: Configuration, sketches: readonly Sketch[], tally: Tally): Promise<string[]> {
    const files = this.files(configuration);
    const refused = await this.apply(files);
    if (refused !== undefined) return [`${refused}\n${describeConfiguration(configuration)}`];
    const declared = declaredBy(configuration.documents);
    const calls = sketches.flatMap((sketch) => callOf(sketch, declared, (name, pod) => lookup(files, name, pod)) ?? []);
    const doubtful: typeof calls = [];
    await Promise.all(
      calls.map(async (call) => {
        if ((await this.compare(files, call.pod, call.call, tally)) !== undefined) doubtful.push(call);
      }),
    );
    if (doubtful.length === 0) return [];
    // Connections that proxies keep may still go to what an earlier configuration had: a second look, with all of them closed.
    tally.second += doubtful.length;
    await this.apply();
    await this.apply(files);
    const out: string[] = [];
    for (const { pod, call } of doubtful) {
      const differing = await this.compare(files, pod, call, newTally());
      if (differing) out.push(`${differing}\n\n${describeCall(pod, call)}\n${describeConfiguration(configuration)}`);
    }
    return out;
  }

  /** Every way that a call from a pod may take. */
  simulate(files: SimulatedFiles, pod: Pod, call: Call): Trace[] {
    const proxy = pod.kind === 'sidecar' ? files.proxy(`${pod.namespace}/${pod.name}`) : undefined;
    return [...waysOf(files.simulated, proxy, call)];
  }

  /** Whether somebody answers a call that goes this way: if not, proxies may try another one. */
  isServed(call: Call, trace: Trace): boolean {
    return isServed(call, trace, this.#names);
  }

  /** Makes a call both ways; what differs, as text. */
  compare(files: SimulatedFiles, pod: Pod, call: Call, tally: Tally): Promise<string | undefined> {
    return this.hold(pod, call, this.simulate(files, pod, call), tally);
  }

  /** Makes a call and holds it against the ways that it may take; what differs from the nearest of them, as text. */
  async hold(pod: Pod, call: Call, traces: readonly Trace[], tally = newTally()): Promise<string | undefined> {
    const expectations = traces.map((trace) => expectationOf(call, trace, this.#names)).filter((one) => one !== undefined);
    tally.pairs++;
    if (expectations.length < traces.length) {
      tally.undecided++;
      return undefined;
    }
    const observed = await observe(this.#mesh, pod, call, expectations);
    const { kind, status, seen } = observed.reply;
    const outcome = `${kind} ${status || ''} by ${seen ? 'a server' : 'a proxy'} after ${traces[0]!.hops.length} proxies`;
    tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
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
