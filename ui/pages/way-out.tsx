/** Workloads, sidecars, gateways and destinations: what may pass, and what does. */
import type { ComponentType } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Outwards } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { counted, hostPortText } from '../lib/format.ts';
import { type MapNode, namespaceOf, type OutwardMap, outwardMap } from '../lib/outward-map.ts';
import { linkTo, parameter, setParameter } from '../lib/router.ts';
import { calls, state } from '../lib/store.ts';
import { Asking, Empty, Failure, Names, Page } from '../parts/basics.tsx';
import { ToldCalls } from '../parts/told.tsx';

/** No more of them are drawn: the map is to be read. */
const MOST_NODES = 250;

type Drawing = ComponentType<{ map: OutwardMap; selected: string; select: (id: string) => void }>;

export function WayOutPage() {
  const asked = useAsked<Outwards>(state.value?.kind === 'dump' ? undefined : '/outwards', {}, state.value?.snapshot);
  const selected = parameter('node');
  const flows = calls.value;
  const answer = asked.kind === 'answered' ? asked.answer : undefined;
  const map = useMemo(() => (answer ? outwardMap(answer, flows) : undefined), [answer, flows]);
  const [drawing, setDrawing] = useState<{ readonly Drawn: Drawing }>();
  useEffect(() => {
    void import('../parts/map.tsx').then(({ OutwardDrawing }) => setDrawing({ Drawn: OutwardDrawing }));
  }, []);
  const node = map?.nodes.find(({ id }) => id === selected);
  return (
    <Page title="Way out" about="Declared ways, the calls that pass over them, and ways round">
      {state.value?.kind === 'dump' && (
        <Empty title="A config dump holds no resources.">The map is made of resources: open their files with sallyport ui.</Empty>
      )}
      {asked.kind === 'asking' && state.value?.kind !== 'dump' && <Asking what="Following the declared ways…" />}
      {asked.kind === 'failed' && <Failure message={asked.message} />}
      {map && map.nodes.length === 0 && (
        <Empty title="Nothing leads out.">No resource declares a host outside the mesh, and no call was seen.</Empty>
      )}
      {map && map.nodes.length > MOST_NODES && (
        <Failure
          message={`There are ${map.nodes.length} workloads and destinations, more than the ${MOST_NODES} that a map can show: look at Flows and Proof.`}
        />
      )}
      {state.value?.kind === 'cluster' && <ToldCalls />}
      {map && map.nodes.length > 0 && map.nodes.length <= MOST_NODES && (
        <>
          <Legend />
          {drawing ? <drawing.Drawn map={map} selected={selected} select={(id) => setParameter('node', id)} /> : <Asking />}
          {node && answer && <Selected node={node} map={map} ways={answer.ways} />}
        </>
      )}
      {answer && answer.left > 0 && <p class="note">{counted(answer.left, 'declared way')} more are not drawn.</p>}
      {answer && answer.round.length > 0 && (
        <section class="card" aria-label="Suspected ways round">
          <h2>Suspected ways round</h2>
          {answer.round.map(({ workloads, how }) => (
            <p key={how + workloads.join()}>
              <Names of={workloads} /> {how}
            </p>
          ))}
          <p class="dim">
            <a href={linkTo('proof')}>Proof</a> has the policies that close them.
          </p>
        </section>
      )}
    </Page>
  );
}

function Selected({ node, map, ways }: { node: MapNode; map: OutwardMap; ways: Outwards['ways'] }) {
  const seen = map.edges
    .filter(({ to, from }) => (node.layer === 'workload' ? from : to) === node.id)
    .reduce((sum, edge) => sum + edge.calls, 0);
  return (
    <section class="selected" role="status">
      <p>
        <strong class="mono">{node.title}</strong> {counted(seen, 'call')} seen.{' '}
        {node.filter !== '' && (
          <>
            <a href={linkTo('flows', { filter: node.filter })}>Its flows</a>{' '}
            <a href={linkTo('refused', { filter: node.filter })}>What was refused</a>
          </>
        )}
      </p>
      {(node.layer === 'workload' || node.layer === 'sidecar') && (
        <Reachable
          ways={ways.filter(({ from }) => from === node.title || namespaceOf(from) === node.title)}
          hasGateways={map.nodes.some(({ layer }) => layer === 'gateway')}
        />
      )}
    </section>
  );
}

/** What workloads may reach, of what is declared, and what becomes of the rest. */
function Reachable({ ways, hasGateways }: { ways: Outwards['ways']; hasGateways: boolean }) {
  const of = (wanted: Outwards['ways'][number]['verdict']) => [
    ...new Set(ways.filter(({ verdict }) => verdict === wanted).map((way) => wayText(way, hasGateways))),
  ];
  const rest = REST[state.value?.outboundPolicy ?? ''];
  return (
    <dl class="facts">
      {(['allowed', 'refused', 'undecided'] as const).map(
        (verdict) =>
          (verdict === 'allowed' || of(verdict).length > 0) && (
            <div key={verdict}>
              <dt>{WORDS[verdict]}</dt>
              <dd>{of(verdict).length === 0 ? 'nothing that is declared' : <Lines of={of(verdict)} />}</dd>
            </div>
          ),
      )}
      {rest && (
        <div>
          <dt>Not declared</dt>
          <dd>{rest}</dd>
        </div>
      )}
    </dl>
  );
}

const WORDS = { allowed: 'May reach', refused: 'Refused', undecided: 'Not known' } as const;
/** By the MeshConfig's outboundTrafficPolicy. */
const REST: Readonly<Record<string, string>> = {
  REGISTRY_ONLY: 'refused, but where a Sidecar says otherwise (REGISTRY_ONLY)',
  ALLOW_ANY: 'allowed, but where a Sidecar says otherwise (ALLOW_ANY)',
};

function wayText({ host, port, through, verdict }: Outwards['ways'][number], hasGateways: boolean): string {
  const how = through.length > 0 ? ` by ${through.join(' and ')}` : hasGateways && verdict === 'allowed' ? ', past the gateway' : '';
  return hostPortText(host, port) + how;
}

const MOST_LINES = 8;

/** Each on a line of its own, of very many some behind a click. */
function Lines({ of }: { of: readonly string[] }) {
  const list = (lines: readonly string[]) => (
    <ul class="mono names">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
  if (of.length <= MOST_LINES + 1) return list(of);
  return (
    <>
      {list(of.slice(0, MOST_LINES))}
      <details>
        <summary>and {of.length - MOST_LINES} more</summary>
        {list(of.slice(MOST_LINES))}
      </details>
    </>
  );
}

const LEGEND = [
  ['allowed', 'allowed'],
  ['refused', 'refused'],
  ['failed', 'failed'],
  ['undecided', 'undecided'],
  ['round', 'past the gateway or the sidecar'],
] as const;

function Legend() {
  return (
    <ul class="legend" aria-label="Legend">
      {LEGEND.map(([tone, text]) => (
        <li key={tone}>
          <svg width="30" height="8" aria-hidden="true">
            <title>{text}</title>
            <path class={`edge tone-${tone} ${tone === 'round' ? 'edge-round' : 'edge-used'}`} d="M1 4H29" stroke-width="3" />
          </svg>
          {text}
        </li>
      ))}
      <li class="dim">thin: declared, no call seen; wider: more calls</li>
    </ul>
  );
}
