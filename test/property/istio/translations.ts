/** Calls under one configuration, simulated on what is translated here and on what Istio's own code makes of it. */
import { parseAllDocuments, stringify } from 'yaml';
import { decodeDocuments } from '../../../src/api/documents.ts';
import { refusedServerNames } from '../../../src/api/webhook.ts';
import { Identities } from '../../../src/ca/identities.ts';
import { Store } from '../../../src/config/store.ts';
import { SallyportError } from '../../../src/lib/errors.ts';
import { spiffeId } from '../../../src/lib/spiffe.ts';
import { type SimulatedFiles, simulateFiles } from '../../../src/prove/simulated.ts';
import type { Call, Payload } from '../../../src/simulate/call.ts';
import type { SimulatedMesh } from '../../../src/simulate/explain.ts';
import { waysOf } from '../../../src/simulate/explore.ts';
import { type SimulatedProxy, simulatedProxy } from '../../../src/simulate/proxy.ts';
import type { Trace } from '../../../src/simulate/trace.ts';
import { translate } from '../../../src/translate/index.ts';
import { lookupIn } from '../../../src/xds/resources.ts';
import { madeFixedObjects } from '../../calls/loopback/fixed-objects.ts';
import { PODS, resolveInPod } from '../../calls/loopback/topology.ts';
import { meshConfigOf } from '../../support/mesh.ts';
import { callOf, declaredBy, type Sketch } from '../calls.ts';
import type { Configuration } from '../configurations.ts';
import { describeCall, describeConfiguration, ROUTER } from '../pairs.ts';
import { type Made, Oracle } from './oracle.ts';
import { addressesOfService } from './services.ts';

const PROXIES = PODS.filter(({ kind }) => kind !== 'none');
const BEGAN = Date.UTC(2026, 0, 1);

/** What was compared. */
export interface Tally {
  calls: number;
  /** Calls that differ as MEANT says. */
  meant: number;
  /** Calls that simulation leaves undecided. */
  undecided: number;
  /** Calls that come to what an Envoy refuses of Istio. */
  refused: number;
  objects: number;
  /** Objects that validation refuses in both. */
  invalid: number;
  /** Configurations on which Istio's code fails, with why. */
  readonly failed: string[];
}

export function newTally(): Tally {
  return { calls: 0, meant: 0, undecided: 0, refused: 0, objects: 0, invalid: 0, failed: [] };
}

interface Differing {
  readonly call: Call;
  readonly ours: string;
  readonly istio: string;
  readonly documents: readonly KubeObject[];
}

/** Differences that are meant, or known: docs/compatibility.md has each. */
const MEANT: readonly (({ ours, istio, documents }: Differing) => boolean)[] = [
  // Names that are looked up when they are called (DYNAMIC_DNS) lead to declared ports alone.
  ({ ours, istio }) => /is not declared, only|404 {2}route_not_found/.test(ours) && /"outbound\|\d+\|\|\*.*\n {2}\{"to":"/.test(istio),
  // Their TLS is held against the policies of the workload that calls.
  ({ istio, documents }) =>
    /"outbound\|\d+\|\|\*\..*\n {2}closed/.test(istio) && documents.some(({ kind }) => kind === 'AuthorizationPolicy'),
  // Of several addresses of a ServiceEntry Istio knows one as a Host, whichever.
  ({ call, documents }) =>
    documents.some(
      ({ spec: { addresses = [] } = {} }) => addresses.length > 1 && addresses.includes(call.payload.http?.authority.split(':')[0] ?? ''),
    ),
  // Hosts of a server that redirects are hosts with their namespaces, too; Istio redirects those that are called so.
  ({ ours, istio, documents }) =>
    /\n {2}30[18] https:/.test(ours) && /404 {2}route_not_found/.test(istio) && documents.some(({ kind }) => kind === 'Gateway'),
  // At a gateway a service with resolution NONE is at the addresses that it declares.
  ({ istio, documents }) =>
    / router UH\n {2}(?:503 {2}the cluster has no endpoint|closed)/.test(
      istio.replaceAll(/istio-system\/egress \w+ "[^"]*" /g, ' router '),
    ) &&
    documents.some(({ kind, spec }) => kind === 'ServiceEntry' && (spec?.resolution ?? 'NONE') === 'NONE' && spec?.addresses !== undefined),
  // Hostnames of a TLSRoute hold where TLS ends, too.
  ({ ours, documents }) =>
    /\n {2}closed\n/.test(ours) &&
    documents.some(({ kind }) => kind === 'TLSRoute') &&
    documents.some(({ spec }) => spec?.listeners?.some(({ protocol, tls }) => protocol === 'TLS' && tls?.mode === 'Terminate')),
  // Where no backend has a weight, nothing is forwarded; Istio passes the route over.
  ({ ours, documents }) =>
    /\n {2}closed\n/.test(ours) &&
    documents.some(
      ({ kind, spec }) =>
        STREAM_ROUTES.includes(kind) && spec?.rules?.some(({ backendRefs = [] }) => backendRefs.every(({ weight }) => weight === 0)),
    ),
  // Of several hostnames of a TLSRoute on the mesh Istio takes one.
  ({ documents }) =>
    documents.some(
      ({ kind, spec }) =>
        kind === 'TLSRoute' && (spec?.hostnames?.length ?? 0) > 1 && spec?.parentRefs?.some((parent) => parent.kind !== 'Gateway'),
    ),
];

const STREAM_ROUTES = ['TLSRoute', 'TCPRoute'];

interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly resolution?: string;
    readonly addresses?: readonly string[];
    readonly listeners?: readonly { readonly protocol: string; readonly tls?: { readonly mode: string } }[];
    readonly hostnames?: readonly string[];
    readonly parentRefs?: readonly { readonly kind: string }[];
    readonly rules?: readonly { readonly backendRefs?: readonly { readonly weight: number }[] }[];
  };
}

export class Translations {
  readonly #oracle = new Oracle();
  readonly #identities = new Identities(undefined, Date.now);
  readonly #fixed: string;

  private constructor(fixed: string) {
    this.#fixed = fixed;
  }

  static async start(): Promise<Translations> {
    return new Translations(await madeFixedObjects());
  }

  end(): void {
    this.#oracle.end();
  }

  /** The calls that differ, each with its configuration, as text. */
  async differences({ mesh, documents }: Configuration, sketches: readonly Sketch[], tally: Tally): Promise<string[]> {
    const objects = [ROUTER, ...documents] as KubeObject[];
    // Of a cluster's objects the time of creation is the age, of a file's their order.
    const aged = (all: readonly KubeObject[]) => all.map((object) => withAge(object, objects.indexOf(object)));
    const config = objects.filter(({ apiVersion }) => apiVersion.includes('istio.io'));
    // What an API server refuses never comes to Istio.
    const kubernetes = objects.filter((object) => !object.apiVersion.includes('istio.io') && errorsOf(object).length === 0);
    const told = await this.#oracle.ask({
      mesh: stringify(mesh),
      config: aged(config),
      // Istio looks for ServiceEntries that routes of the Gateway API name in the cluster itself.
      kubernetes: [
        withData(this.#fixed),
        ...aged([...kubernetes, ...config.filter(({ kind }) => kind === 'ServiceEntry')]).map((object) => stringify(object)),
      ].join('---\n'),
      proxies: PROXIES,
    });
    if (typeof told === 'string') {
      tally.failed.push(`${told}\n${describeConfiguration({ mesh, documents })}`);
      return [];
    }
    const refused = new Set([...told.refused.keys()].map((place) => config[place]!));
    const found = validation(config, told.refused);
    tally.objects += config.length;
    tally.invalid += refused.size;
    const files = filesOf(
      this.#fixed,
      objects.filter((object) => kubernetes.includes(object) || (config.includes(object) && !refused.has(object))),
      mesh,
    );
    const proxies = new Map(
      PROXIES.map(({ namespace, name }, i) => [`${namespace}/${name}`, this.#proxyOf(files, `${namespace}/${name}`, told.proxies[i]!)]),
    );
    const theirs: SimulatedMesh = {
      ...files.simulated,
      proxyAt(ip, port) {
        const proxy = files.simulated.proxyAt(ip, port);
        return proxy && proxies.get(proxy.name);
      },
    };
    const declared = declaredBy(documents);
    for (const sketch of sketches) {
      // As in the record: names are looked up in DNS alone.
      const call = callOf(sketch, declared, (name, { namespace }) => {
        const found = addressesOfService(documents, name, namespace);
        return found.length > 0 ? found : resolveInPod(name, namespace);
      });
      if (!call) continue;
      tally.calls++;
      const name = `${call.pod.namespace}/${call.pod.name}`;
      const sidecar = call.pod.kind === 'sidecar';
      const ours = endsOf([...waysOf(files.simulated, sidecar ? files.proxy(name) : undefined, call.call)]);
      const istio = whereTaken(() => endsOf([...waysOf(theirs, sidecar ? proxies.get(name) : undefined, call.call)]));
      if (istio === REFUSED) tally.refused++;
      else if (ours === undefined || istio === undefined) tally.undecided++;
      else if (ours === istio) continue;
      else if (MEANT.some((isMeant) => isMeant({ call: call.call, ours, istio, documents: objects }))) tally.meant++;
      else
        found.push(
          `here:\n${ours}\nIstio:\n${istio}\n\n${describeCall(call.pod, call.call)}\n${describeConfiguration({ mesh, documents })}`,
        );
    }
    return found;
  }

  #proxyOf(files: SimulatedFiles, name: string, made: Made): SimulatedProxy {
    const identity = files.proxies.find((each) => `${each.namespace}/${each.name}` === name)!;
    const { secrets } = translate(identity, files.mesh).resources;
    const { trustDomain } = files.mesh.config;
    const id = spiffeId(trustDomain, identity.namespace, identity.serviceAccount);
    const all = [...secrets, ...this.#identities.secretsOf(trustDomain, id)];
    return simulatedProxy({ ...identity, name, identity: id }, lookupIn({ ...made, secrets: all }));
  }
}

/** Secrets as an API server keeps them. */
function withData(yaml: string): string {
  const objects = parseAllDocuments(yaml).map((document) => document.toJS() as { stringData?: Record<string, string> });
  const made = objects.map(({ stringData, ...rest }) => {
    if (!stringData) return rest;
    return {
      ...rest,
      data: Object.fromEntries(Object.entries(stringData).map(([name, text]) => [name, Buffer.from(text).toString('base64')])),
    };
  });
  return made.map((object) => stringify(object)).join('---\n');
}

function withAge(object: KubeObject, i: number): KubeObject {
  const creationTimestamp = new Date(BEGAN + i * 1000).toISOString().replace('.000', '');
  return { ...object, metadata: { ...object.metadata, creationTimestamp } as KubeObject['metadata'] };
}

function filesOf(fixed: string, documents: readonly object[], mesh: Configuration['mesh']): SimulatedFiles {
  const store = new Store();
  store.set('fixed.yaml', decodeDocuments(fixed, 'fixed.yaml'));
  store.set('generated.yaml', decodeDocuments(documents.map((document) => stringify(document)).join('---\n'), 'generated.yaml'));
  return simulateFiles(store.snapshot(), meshConfigOf(mesh));
}

function errorsOf(object: KubeObject): string[] {
  const { resources, findings } = decodeDocuments(stringify(object), 'generated.yaml');
  return [
    ...findings.filter(({ level }) => level === 'Error').map(({ code, message }) => `${code} ${message}`),
    // Of files nobody knows whether a webhook was asked; Istio's code asks it here.
    ...resources.flatMap((resource) => (resource.kind === 'VirtualService' ? refusedServerNames(resource).map(({ why }) => why) : [])),
  ];
}

/** Objects that validation takes in one of the two only, as text. */
function validation(objects: readonly KubeObject[], refused: ReadonlyMap<number, string>): string[] {
  return objects.flatMap((object, i) => {
    const text = stringify(object);
    const errors = errorsOf(object);
    const why = refused.get(i);
    if ((why !== undefined) === errors.length > 0) return [];
    return [`${why === undefined ? `refused here alone: ${errors.join('; ')}` : `refused by Istio alone: ${why}`}\n${text}`];
  });
}

const REFUSED = Symbol('an Envoy refuses what it is given');

/** What Istio makes of some configurations no Envoy takes: two filter chains that match the same. */
function whereTaken<T>(made: () => T): T | typeof REFUSED {
  try {
    return made();
  } catch (error) {
    if (error instanceof SallyportError && error.code === 'xds-invalid') return REFUSED;
    throw error;
  }
}

/** All that a caller, a server or a log could tell of the ways that a call may take; undefined where some are not known. */
function endsOf(ways: readonly Trace[]): string | undefined {
  if (ways.some(({ outcome }) => outcome.kind === 'undecided')) return undefined;
  return [...new Set(ways.map(tell))].sort().join('\n');
}

function tell({ hops, outcome, response }: Trace): string {
  const way = hops.map(({ proxy, protocol, cluster, flag }) => `  ${proxy} ${protocol ?? '-'} "${cluster}" ${flag}`);
  return [...way, `  ${end(outcome)}`, `  ${JSON.stringify(response ?? null)}`].join('\n');
}

function end(outcome: Trace['outcome']): string {
  // Endpoints that are not ready Istio sends as such.
  if (outcome.kind === 'reply')
    return `${outcome.status} ${outcome.location ?? ''} ${outcome.details.replace('no endpoint of the cluster is healthy', 'the cluster has no endpoint')}`;
  if (outcome.kind !== 'upstream') return outcome.kind;
  const { endpoint, host, port, payload, originates } = outcome;
  return JSON.stringify({ to: endpoint ?? `${host}:${port}`, payload: plain(payload), verifies: originates?.verifies });
}

/** What a span of a route of the Gateway API is called says what the route was made into. */
function isNameOfRoute(name: string, value: string): boolean {
  return name === 'x-envoy-decorator-operation' && /~|istio-autogenerated/.test(value);
}

function plain({ tls, http, inner }: Payload): object {
  const headers =
    http &&
    [...http.headers]
      .filter(([name, value]) => name !== 'x-request-id' && !isNameOfRoute(name, value))
      .map(([name, value]) => `${name}: ${value}`)
      .sort();
  return { tls, http: http && { ...http, headers, varied: undefined }, inner: inner && plain(inner) };
}
