/** A layered map as SVG; dagre says where everything is. Loaded when it is first looked at. */
import { Graph, layout } from '@dagrejs/dagre';
import { useMemo } from 'preact/hooks';
import { counted, countText } from '../lib/format.ts';
import type { MapEdge, MapNode, OutwardMap } from '../lib/outward-map.ts';

interface Props {
  readonly map: OutwardMap;
  readonly selected: string;
  readonly select: (id: string) => void;
}

const WIDTH: Readonly<Record<MapNode['layer'], number>> = { workload: 170, sidecar: 80, gateway: 256, destination: 214 };
const LAYERS: readonly MapNode['layer'][] = ['workload', 'sidecar', 'gateway', 'destination'];
const HEIGHT = 30;
/** How much a line is to be straight: from a workload to its sidecar first of all. */
const STRAIGHT: Readonly<Record<MapEdge['tone'], number>> = { several: 6, allowed: 2, failed: 1, refused: 1, undecided: 1, round: 1 };
/** Characters that fit, by the width of a node. */
const CHARACTER = 7.3;

interface Placed {
  readonly x: number;
  readonly y: number;
}

interface Line {
  readonly start: Placed;
  readonly end: Placed;
}

export function OutwardDrawing({ map, selected, select }: Props) {
  // Where things are depends on what there is, not on how many calls were seen.
  const shape = JSON.stringify([map.nodes.map(({ id }) => id), map.edges.map(({ from, to }) => [from, to])]);
  const drawn = useMemo(() => placed(map), [shape]);
  // The whole of the ways that lead over it, from workloads to destinations.
  const chosen = map.nodes.find(({ id }) => id === selected);
  const isFaded = ({ ways }: MapNode | MapEdge) => chosen !== undefined && ![...ways].some((way) => chosen.ways.has(way));
  const most = Math.max(1, ...map.edges.map(({ calls }) => calls));
  return (
    <div
      class="map"
      tabIndex={0}
      role="region"
      aria-label="Map of the ways out"
      // What stands below it does not press it flat.
      style={{ minHeight: `min(50vh, ${drawn.height + 2}px)` }}
    >
      <svg
        width={drawn.width}
        height={drawn.height}
        viewBox={`0 0 ${drawn.width} ${drawn.height}`}
        role="group"
        aria-label="Ways from workloads to destinations"
      >
        {map.edges.map((edge) => (
          <Edge
            key={`${edge.from}\n${edge.to}`}
            edge={edge}
            line={drawn.edges.get(`${edge.from}\n${edge.to}`)!}
            width={1.2 + (edge.calls === 0 ? 0 : 5 * (Math.log1p(edge.calls) / Math.log1p(most)))}
            faded={isFaded(edge)}
          />
        ))}
        {map.nodes.map((node) => (
          <Node
            key={node.id}
            node={node}
            at={drawn.nodes.get(node.id)!}
            selected={node.id === selected}
            faded={isFaded(node)}
            select={() => select(node.id === selected ? '' : node.id)}
          />
        ))}
      </svg>
    </div>
  );
}

function Node({ node, at, selected, faded, select }: { node: MapNode; at: Placed; selected: boolean; faded: boolean; select: () => void }) {
  const width = WIDTH[node.layer];
  const text = node.layer === 'sidecar' ? 'sidecar' : node.title;
  const fits = Math.floor((width - 20) / CHARACTER);
  const several = node.members > 1 && node.layer !== 'sidecar' ? ` (${countText(node.members)})` : '';
  const cut = text.length + several.length > fits ? `${text.slice(0, fits - several.length - 1)}…` : text;
  return (
    <g
      class={`node node-${node.layer}${selected ? ' node-selected' : ''}${faded ? ' faded' : ''}`}
      transform={`translate(${at.x - width / 2} ${at.y - HEIGHT / 2})`}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={cut === text ? `${node.layer} ${text + several}` : `${cut + several}, ${node.layer} ${node.title}`}
      onClick={select}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        select();
      }}
    >
      <title>{node.title + several}</title>
      <rect width={width} height={HEIGHT} rx={node.layer === 'gateway' ? 4 : 15} />
      <text x={width / 2} y={HEIGHT / 2 + 4.5} text-anchor="middle">
        {cut + several}
      </text>
    </g>
  );
}

function Edge({ edge, line, width, faded }: { edge: MapEdge; line: Line; width: number; faded: boolean }) {
  const kind = edge.tone === 'round' ? 'round' : edge.calls > 0 ? 'used' : 'declared';
  const how = edge.tone === 'round' ? 'past the gateway or the sidecar' : edge.tone === 'several' ? '' : edge.tone;
  const title = [edge.calls > 0 ? counted(edge.calls, 'call') : 'no call was seen', how].filter(Boolean).join(', ');
  return (
    <path class={`edge edge-${kind} tone-${edge.tone}${faded ? ' faded' : ''}`} d={curveOf(line)} stroke-width={width}>
      <title>{title}</title>
    </path>
  );
}

function curveOf({ start, end }: Line): string {
  const middle = (start.x + end.x) / 2;
  return `M${start.x} ${start.y}C${middle} ${start.y} ${middle} ${end.y} ${end.x} ${end.y}`;
}

function placed({ nodes, edges }: OutwardMap) {
  const graph = new Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 10, ranksep: 56, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, layer } of nodes) graph.setNode(id, { width: WIDTH[layer], height: HEIGHT });
  const layerOf = new Map(nodes.map(({ id, layer }) => [id, LAYERS.indexOf(layer)]));
  // A layer is a column, also for what skips one.
  for (const { from, to, tone } of edges)
    graph.setEdge(from, to, { minlen: layerOf.get(to)! - layerOf.get(from)!, weight: STRAIGHT[tone] });
  layout(graph);
  const at = new Map(nodes.map(({ id }) => [id, graph.node(id) as Placed]));
  const side = (id: string, way: 1 | -1): Placed => {
    const { x, y } = at.get(id)!;
    return { x: x + (way * WIDTH[LAYERS[layerOf.get(id)!]!]) / 2, y };
  };
  // From the right side of a node to the left side of another, under what stands between them.
  const lines = new Map(edges.map(({ from, to }) => [`${from}\n${to}`, { start: side(from, 1), end: side(to, -1) }]));
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { nodes: at, edges: lines, width: Math.ceil(width) || 1, height: Math.ceil(height) || 1 };
}
