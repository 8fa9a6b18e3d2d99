/** One call over files: who makes it, which address it goes to, and its way. */
import { SallyportError } from '../lib/errors.ts';
import { isLoopback, parseIp } from '../lib/ip.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Call, CallTarget, Endpoint } from '../simulate/call.ts';
import { copiesOf, explainCall, FIRST, type SimulatedMesh } from '../simulate/explain.ts';
import type { SimulatedProxy } from '../simulate/proxy.ts';
import type { Trace } from '../simulate/trace.ts';
import { callersOf } from './callers.ts';
import { captureOf, writtenIn } from './capture.ts';
import { type Ending, endingOf } from './ending.ts';
import { locatedTrace } from './origins.ts';
import { type SimulatedFiles, workloadName } from './simulated.ts';

export interface Caller {
  /**
   * Who calls: a workload with a sidecar or a gateway that the call has come to, as `namespace/name`, or `plain` for a client without a sidecar.
   * Without it, the only workload that has a sidecar.
   */
  readonly from?: string;
  /** The address that the client connects to. Without it, the one that its DNS gives for the name. */
  readonly to?: string;
  /** When the call is made, ms since the epoch: tokens expire. Undefined: none has. */
  readonly now?: number;
}

export interface Way {
  readonly from: string;
  /** Why that workload has no sidecar, as the end of a sentence; undefined where it has one, or nothing says so. */
  readonly withoutSidecar?: string | undefined;
  /** Why the call goes past the sidecar that the workload has; undefined where it does not. */
  readonly pastSidecar?: string | undefined;
  /** `address:port` that the client connects to. */
  readonly destination: string;
  /** How the address was found; empty where the call names it. */
  readonly resolved: string;
  readonly trace: Trace;
  /** Where copies go that mirroring makes of the call. */
  readonly copies: readonly Trace[];
  /** How the call ends where its way is not all that counts; undefined where the trace's outcome is what the application sees. */
  readonly ending?: Ending | undefined;
}

/** Stands for what real DNS says of a name that the mesh has no address for: TEST-NET-3 of RFC 5737. */
const SOMEWHERE = '203.0.113.1';

/** The way of a call over files. Throws `usage` where it is not clear who calls, and `no-such-workload`. */
export function wayOf(files: SimulatedFiles, target: CallTarget, caller: Caller): Way {
  const sidecars = files.proxies.filter(({ type }) => type === 'sidecar').map(workloadName);
  const name = callerOf(sidecars, caller);
  const router = files.proxies.find((proxy) => proxy.type === 'router' && workloadName(proxy) === name);
  if (router) return atGateway(files, router, target, caller);
  const bare = files.bare.find(({ identity }) => workloadName(identity) === name);
  const from = bare || name === 'plain' ? undefined : (unnamed(files, name) ?? files.proxy(name));
  const client = { source: bare?.identity.addresses[0], known: resolved(files, from, target.host, bare?.identity.namespace ?? '') };
  const pastSidecar = from && pastIt(files, name, destinationOf(target, caller, client));
  const taking = pastSidecar === undefined ? from : undefined;
  const direct = from && !taking ? { ...client, source: from.addresses[0] } : client;
  const way = withLines(follow(files.simulated, taking, target, caller, direct), files);
  return {
    ...way,
    from: name,
    withoutSidecar: bare?.why,
    pastSidecar,
    ending: endingOf(target.payload, way.trace, (...server) => mayHaveIdentity(files, ...server)),
  };
}

/** Why a call to there goes past the caller's sidecar; undefined where that takes it. What a pod has on loopback is its own, and may be its sidecar. */
function pastIt({ mesh: { snapshot, config } }: SimulatedFiles, name: string, to: Endpoint): string | undefined {
  const words = parseIp(to.ip);
  if (words && isLoopback(words)) return undefined;
  const { takesOutbound, past } = captureOf(writtenIn(snapshot).get(name), config);
  return takesOutbound(to) ? undefined : past.join(', ');
}

/** Servers of a ServiceEntry of the mesh (MESH_INTERNAL) may have proxies of their own, but for those that are workloads here without one. */
function mayHaveIdentity({ mesh: { registry }, bare }: SimulatedFiles, cluster: string, ip: string | undefined): boolean {
  const services = registry.services.filter(({ hostname }) => hostname === cluster.split('|')[3]);
  const inside = services.length > 0 && services.every(({ registry, meshExternal }) => registry === 'External' && !meshExternal);
  return inside && !bare.some(({ identity }) => ip !== undefined && identity.addresses.includes(ip));
}

/** The proxy of a caller that `verify` has made up for workloads which the files do not name. */
function unnamed(files: SimulatedFiles, name: string): SimulatedProxy | undefined {
  if (files.proxies.some((proxy) => workloadName(proxy) === name)) return undefined;
  const caller = callersOf(files).find((each) => workloadName(each) === name);
  return caller && files.proxyOf(caller);
}

/**
 * What a client's DNS says of a name that the mesh or the cluster knows: its sidecar's, where it has one that it asks, and what that does not know the
 * cluster's. Real DNS is taken to give the addresses that are declared for a name; those that the mesh allocates it never gives.
 */
function resolved(files: SimulatedFiles, from: SimulatedProxy | undefined, host: string, namespace: string): Known | undefined {
  const inMesh = from && files.names(from).lookup(host);
  const inCluster = known(files.simulated.lookUp?.(host, from ? namespaceOf(from) : namespace), "the cluster's DNS");
  if (from && files.asksMesh(from)) return known(inMesh, "the mesh's DNS") ?? inCluster;
  return inCluster ?? known(inMesh && withoutAllocated(files, inMesh), 'as it is declared');
}

function known(addresses: readonly string[] | undefined, by: string): Known | undefined {
  const ip = addresses?.find((address) => !address.includes(':'));
  return ip === undefined ? undefined : { ip, by };
}

function withoutAllocated({ mesh: { registry } }: SimulatedFiles, addresses: readonly string[]): readonly string[] {
  return addresses.filter((address) => !registry.services.some(({ autoAddresses }) => autoAddresses.includes(address)));
}

function namespaceOf({ name }: SimulatedProxy): string {
  return name.slice(0, name.indexOf('/'));
}

/** The way of a call that has come to a gateway: at the port of its Pod that the called port of its Service leads to. */
function atGateway(files: SimulatedFiles, router: ProxyIdentity, target: CallTarget, caller: Caller): Way {
  const served = files.mesh.registry.servicesOf(router).find(({ port }) => port.number === target.port);
  const port = served?.endpointPort ?? target.port;
  const way = withLines(follow(files.simulated, undefined, { ...target, port }, { ...caller, to: router.addresses[0] }), files);
  return { ...way, from: 'a client', resolved: `gateway ${workloadName(router)}` };
}

/** The caller's name. Throws `usage` where there is a choice. */
export function callerOf(sidecars: readonly string[], { from }: Caller): string {
  const name = from ?? (sidecars.length === 1 ? sidecars[0] : undefined);
  if (name === undefined) throw new SallyportError('usage', `say who calls: --from ${sidecars.join(' or --from ')}`);
  return name;
}

interface Known {
  readonly ip: string;
  /** Who says so. */
  readonly by: string;
}

/** What is known of the client: its own address where it has no sidecar, and what its DNS has for the target's name. */
interface Client {
  readonly source?: string | undefined;
  readonly known?: Known | undefined;
}

function isAddressOf({ host }: CallTarget): boolean {
  return /^[\d.]+$|:/.test(host);
}

/** What the client connects to. */
function destinationOf(target: CallTarget, { to }: Caller, { known }: Client): Endpoint {
  return { ip: to ?? (isAddressOf(target) ? target.host : (known?.ip ?? SOMEWHERE)), port: target.port };
}

export function follow(
  mesh: SimulatedMesh,
  from: SimulatedProxy | undefined,
  target: CallTarget,
  { to, now }: Caller,
  { source, known }: Client = {},
): Omit<Way, 'from'> {
  const isAddress = isAddressOf(target);
  const { ip } = destinationOf(target, { ...(to !== undefined && { to }) }, { known });
  const resolved = to ? 'as given' : isAddress ? '' : (known?.by ?? 'real DNS (any address outside the mesh)');
  const call: Call = {
    source: { ip: from?.addresses[0] ?? source ?? '192.0.2.1', port: 0 },
    destination: { ip, port: target.port },
    payload: target.payload,
  };
  const trace = explainCall(mesh, from, call, { ...FIRST, ...(now !== undefined && { now }) });
  return { destination: `${ip}:${target.port}`, resolved, trace, copies: copiesOf(mesh, from, call) };
}

function withLines(way: Omit<Way, 'from'>, { mesh: { snapshot } }: SimulatedFiles): Omit<Way, 'from'> {
  return { ...way, trace: locatedTrace(way.trace, snapshot), copies: way.copies.map((copy) => locatedTrace(copy, snapshot)) };
}
