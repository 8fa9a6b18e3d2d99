/** A call through a whole mesh: from the application's sidecar (or no sidecar) through routers to the server that answers. Pure. */
import type { Call, Endpoint } from './call.ts';
import { simulateHop } from './hop.ts';
import type { HopOptions } from './hop-options.ts';
import type { SimulatedProxy } from './proxy.ts';
import { type OnResponse, Response, type SeenResponse } from './response.ts';
import type { Hop, Sent, Trace } from './trace.ts';

/** The mesh around the proxies: who takes what arrives where. */
export interface SimulatedMesh {
  /** The proxy that takes what arrives at an address, and there at a port; without one, at any that it takes. */
  proxyAt(ip: string, port?: number): SimulatedProxy | undefined;
  /** The endpoints behind a Service's own address; undefined for an address that is no Service's. */
  behindService?(to: Endpoint): readonly Endpoint[] | undefined;
  /** What the cluster's DNS answers a workload of `namespace`; undefined for names outside the cluster. */
  lookUp?(name: string, namespace: string): readonly string[] | undefined;
  /** The addresses and ports at which routers take calls, including those of the Services in front of them. */
  entrances?(): readonly Endpoint[];
}

/** A mesh of these proxies. */
export function simulatedMesh(proxies: readonly SimulatedProxy[]): SimulatedMesh {
  const byAddress = new Map<string, SimulatedProxy>();
  for (const proxy of proxies) for (const address of proxy.addresses) byAddress.set(address, proxy);
  return { proxyAt: (ip) => byAddress.get(ip) };
}

/** Where there is a choice, the first that is possible. */
export const FIRST: HopOptions = {
  weigh: (weights) =>
    Math.max(
      0,
      weights.findIndex((weight) => weight > 0),
    ),
  pick: (hosts) => hosts[0]!,
  policies: true,
};
/** The most copies of one call that are followed. */
const MOST_COPIES = 16;
/** A call with more hops than this is taken to go round in a loop. */
const MAX_HOPS = 16;

const VIRTUAL_OUTBOUND = 'virtualOutbound';
const VIRTUAL_INBOUND = 'virtualInbound';

/**
 * What becomes of a call. `from` is the caller's sidecar, or undefined for a caller without one (then the call goes straight to its destination,
 * which may be a router or a workload with a sidecar).
 */
export function explainCall(mesh: SimulatedMesh, from: SimulatedProxy | undefined, call: Call, options: HopOptions = FIRST): Trace {
  const backs: (OnResponse | undefined)[] = [];
  const trace = follow(mesh, from, call, options, backs);
  return { ...trace, response: responseTo(call, trace, backs) };
}

/** The copies that mirroring makes of the call, and the copies of those: one trace each, with all of its hops. */
export function copiesOf(mesh: SimulatedMesh, from: SimulatedProxy | undefined, call: Call): Trace[] {
  const traces: Trace[] = [];
  const queue: number[][] = [[]];
  for (let script = queue.shift(); script && traces.length < MOST_COPIES; script = queue.shift()) {
    let at = 0;
    const taken = script;
    const follow = (ways: number) => {
      const way = taken[at] ?? 0;
      // The first trace that comes to a place where copies are made queues them all.
      if (at >= taken.length) for (let i = 1; i < ways; i++) queue.push([...taken, ...Array<number>(at - taken.length).fill(0), i]);
      at++;
      return way;
    };
    const trace = explainCall(mesh, from, call, { ...FIRST, follow });
    if (script.length > 0) traces.push(trace);
  }
  return traces;
}

function responseTo({ payload }: Call, { hops, outcome }: Trace, backs: readonly (OnResponse | undefined)[]): SeenResponse | undefined {
  const { kind } = outcome;
  // A proxy that took HTTP for bytes, or ended TLS that was not the application's, changes nothing of a response.
  if (!payload.http || (kind !== 'upstream' && kind !== 'reply') || hops.some(({ copy }) => copy)) return undefined;
  const response = new Response(kind === 'reply' ? outcome.status : undefined);
  for (const back of backs.toReversed()) back?.(response);
  return response.seen();
}

function follow(
  mesh: SimulatedMesh,
  from: SimulatedProxy | undefined,
  call: Call,
  options: HopOptions,
  backs: (OnResponse | undefined)[],
): Trace {
  const hops: Hop[] = [];
  let current: Call = call;
  let proxy = from;
  let entry = from?.listenerNamed(VIRTUAL_OUTBOUND);
  if (!from) {
    const destination = throughService(mesh, call.destination, options);
    if (!destination) return { hops, outcome: { kind: 'closed', details: noPort(call.destination) } };
    current = { ...call, destination };
    proxy = mesh.proxyAt(destination.ip, destination.port);
    entry = proxy && inboundListener(proxy, current);
  }
  while (proxy) {
    if (!entry) {
      const details = `${proxy.name} has no listener on port ${current.destination.port}: the connection is refused`;
      return { hops, outcome: { kind: 'closed', details } };
    }
    const { hop, outcome, onResponse } = simulateHop(proxy, entry, current, options);
    hops.push(hop);
    backs.push(onResponse);
    if (outcome) return { hops, outcome };
    const { payload } = hop.next!;
    const { throughEndpoint } = hop.next!;
    if (throughEndpoint && mesh.proxyAt(throughEndpoint.ip, throughEndpoint.port))
      return {
        hops,
        outcome: { kind: 'undecided', details: 'what a proxy of the mesh does when it is asked for a tunnel is not simulated' },
      };
    // A forward proxy's names are its own to look up.
    const dialled = hop.next!.through !== undefined ? undefined : (hop.next!.endpoint ?? lookedUp(mesh, proxy, hop.next!, options));
    if (hops.length >= MAX_HOPS)
      return { hops, outcome: { kind: 'undecided', details: `the call goes round in a loop (${MAX_HOPS} hops)` } };
    const endpoint = dialled && throughService(mesh, dialled, options);
    if (dialled && !endpoint) return { hops, outcome: { kind: 'closed', details: noPort(dialled) } };
    if (endpoint && endpoint !== hop.next!.endpoint) hops[hops.length - 1] = beyondService(hop, endpoint);
    const receiver = endpoint && mesh.proxyAt(endpoint.ip, endpoint.port);
    // A sidecar's own inbound side sends to the application beside it, which no proxy takes again.
    if (!endpoint || !receiver || (receiver === proxy && entry.name === VIRTUAL_INBOUND))
      return { hops, outcome: { kind: 'upstream', ...hops.at(-1)!.next! } };
    current = { source: { ip: proxy.addresses[0] ?? current.source.ip, port: 0 }, destination: endpoint, payload };
    proxy = receiver;
    entry = inboundListener(receiver, current);
  }
  const { destination, payload } = current;
  return {
    hops,
    outcome: {
      kind: 'upstream',
      endpoint: destination,
      host: '',
      port: destination.port,
      payload,
      dialled: true,
      anyAddress: true,
      originates: undefined,
    },
  };
}

/** What a proxy finds in the cluster's DNS for a name. */
function lookedUp(mesh: SimulatedMesh, proxy: SimulatedProxy, { host, port }: Sent, options: HopOptions): Endpoint | undefined {
  const found = mesh.lookUp?.(host, proxy.name.slice(0, proxy.name.indexOf('/')));
  if (!found || found.length === 0) return undefined;
  return options.pick(found.map((ip) => ({ endpoint: { ip, port }, host, port }))).endpoint;
}

/** Where a connection to an address really goes: for a Service's address, to one of its endpoints; undefined if it has none on the port. */
function throughService(mesh: SimulatedMesh, to: Endpoint, options: HopOptions): Endpoint | undefined {
  const endpoints = mesh.behindService?.(to);
  if (!endpoints) return to;
  if (endpoints.length === 0) return undefined;
  return options.pick(endpoints.map((endpoint) => ({ endpoint, host: '', port: endpoint.port }))).endpoint;
}

function noPort({ ip, port }: Endpoint): string {
  return `the Service at ${ip} has no endpoint on port ${port}: the connection is refused`;
}

function beyondService(hop: Hop, endpoint: Endpoint): Hop {
  const name = `${endpoint.ip}:${endpoint.port}`;
  const steps = [...hop.steps, { kind: 'endpoint' as const, name, text: "where the Service's name or address leads", origins: [] }];
  return { ...hop, steps, next: { ...hop.next!, endpoint, port: endpoint.port } };
}

/** The listener at which a connection from outside arrives: a sidecar's inbound one, or a router's on that port. */
function inboundListener(proxy: SimulatedProxy, call: Call) {
  return proxy.type === 'sidecar'
    ? proxy.listenerNamed(VIRTUAL_INBOUND)
    : proxy.listeners.match(call.destination.ip, call.destination.port);
}
