/** The map of the ways out: what is declared, with what passed over it, as nodes and edges in layers. */
import type { Outwards } from '../../src/console/model.ts';
import type { Flow } from '../../src/flows/flow.ts';
import { hostPortText } from './format.ts';

export type Layer = 'workload' | 'sidecar' | 'gateway' | 'destination';
/** `round`: past the gateway, or past the sidecar. `several`: calls that end differently. */
export type Tone = 'allowed' | 'refused' | 'failed' | 'undecided' | 'round' | 'several';

export interface MapNode {
  readonly id: string;
  readonly layer: Layer;
  readonly title: string;
  /** How many it stands for, where it is not one. */
  readonly members: number;
  /** A filter of Flows for what passes here. */
  readonly filter: string;
  /** The ways that lead over it, as its edges name them. */
  readonly ways: ReadonlySet<string>;
}

export interface MapEdge {
  readonly from: string;
  readonly to: string;
  readonly tone: Tone;
  /** Calls that were seen. */
  readonly calls: number;
  readonly declared: boolean;
  readonly ways: ReadonlySet<string>;
}

export interface OutwardMap {
  readonly nodes: readonly MapNode[];
  readonly edges: readonly MapEdge[];
}

/** More names than these are put together: hosts by domain, workloads by namespace. */
const MOST_HOSTS = 40;
const MOST_WORKLOADS = 24;
const ANYWHERE = 'anywhere outside';

const GRAVITY: Readonly<Record<Tone, number>> = { several: 6, round: 5, refused: 4, failed: 3, undecided: 2, allowed: 1 };

export function outwardMap(outwards: Outwards, flows: readonly Flow[]): OutwardMap {
  const ended = flows.filter(({ kind, role }) => kind === 'end' && role === 'sidecar');
  const hosts = new Set([...outwards.ways.map(({ host }) => host), ...ended.map(({ host }) => host)]);
  const callers = new Set([...outwards.ways.map(({ from }) => from), ...ended.map(({ proxy }) => proxy)]);
  const hostOf = hosts.size > MOST_HOSTS ? domainOf : (host: string) => host;
  const callerOf = callers.size > MOST_WORKLOADS ? namespaceOf : (name: string) => name;
  const drawing = new Drawing();

  const way = (caller: string, through: readonly string[], host: string, port: number, tone: Tone, seen: number) => {
    const workload = drawing.node('workload', callerOf(caller), caller, `proxy:${caller}`);
    const sidecar = drawing.node('sidecar', callerOf(caller), caller, `proxy:${caller}`);
    const name = hostOf(host);
    const to = drawing.node(
      'destination',
      name === host ? hostPortText(host, port) : name,
      `${host}:${port}`,
      `host:${name === host ? host : `*${name.slice(1)}`}`,
    );
    const gateways = through.map((gateway) => drawing.node('gateway', gateway, gateway, `proxy:${gateway}`));
    drawing.way([workload, sidecar, ...gateways, to], (i) => (i === 0 ? 'several' : tone), seen);
  };
  // Where there are gateways, what is declared is to pass them.
  const outside = new Set(outwards.ways.map(({ host }) => host));
  const toned = (tone: Tone, through: number, leaves: boolean): Tone =>
    tone === 'allowed' && through === 0 && leaves && outwards.gateways.length > 0 ? 'round' : tone;

  for (const { from, host, port, through, verdict } of outwards.ways)
    way(from, through, host, port, toned(verdict, through.length, true), 0);
  for (const { proxy, gateway, host, port, verdict, cluster } of ended) {
    const through = gateway === undefined ? [] : [gateway];
    const leaves = outside.has(host) || cluster === 'PassthroughCluster';
    way(proxy, through, host, port, toned(verdict ?? 'undecided', through.length, leaves), 1);
  }
  for (const { workloads } of outwards.round)
    for (const workload of workloads) {
      const from = drawing.node('workload', callerOf(workload), workload, `proxy:${workload}`);
      drawing.way([from, drawing.node('destination', ANYWHERE, ANYWHERE, '')], () => 'round', 0);
    }
  return drawing.map();
}

class Drawing {
  readonly #nodes = new Map<string, { readonly node: Omit<MapNode, 'ways'>; readonly members: Set<string>; readonly ways: Set<string> }>();
  readonly #edges = new Map<string, MapEdge & { readonly ways: Set<string> }>();

  node(layer: Layer, title: string, member: string, filter: string): string {
    const id = `${layer} ${title}`;
    const known = this.#nodes.get(id) ?? {
      node: { id, layer, title, members: 1, filter },
      members: new Set<string>(),
      ways: new Set<string>(),
    };
    known.members.add(member);
    this.#nodes.set(id, known);
    return id;
  }

  /** From stop to stop. @param toneOf of each of its edges, by their number */
  way(stops: readonly string[], toneOf: (edge: number) => Tone, calls: number): void {
    const way = stops.join('\n');
    for (const stop of stops) this.#nodes.get(stop)!.ways.add(way);
    for (const [i, stop] of stops.slice(1).entries()) this.#edge(stops[i]!, stop, toneOf(i), calls, way);
  }

  /** An edge that is used has the gravest colour of what was seen on it; one that is not, that of what is declared. */
  #edge(from: string, to: string, tone: Tone, calls: number, way: string): void {
    const key = `${from}\n${to}`;
    const known = this.#edges.get(key);
    const before = known && (calls === 0 || known.calls > 0) ? known.tone : tone;
    const graver = calls > 0 || !known || known.calls === 0 ? GRAVITY[tone] > GRAVITY[before] : false;
    this.#edges.set(key, {
      from,
      to,
      tone: graver ? tone : before,
      calls: (known?.calls ?? 0) + calls,
      declared: (known?.declared ?? false) || calls === 0,
      ways: known?.ways.add(way) ?? new Set([way]),
    });
  }

  map(): OutwardMap {
    return {
      nodes: [...this.#nodes.values()].map(({ node, members, ways }) => ({ ...node, members: members.size, ways })),
      edges: [...this.#edges.values()],
    };
  }
}

/** `*.example.com` for a host under it. */
function domainOf(host: string): string {
  const labels = host.split('.');
  if (labels.length < 3 || /^[\d.]+$|:/.test(host)) return host;
  return `*.${labels.slice(-2).join('.')}`;
}

export function namespaceOf(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? name : `${name.slice(0, slash)}/*`;
}
