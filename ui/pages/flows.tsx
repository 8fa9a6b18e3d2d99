/** Calls as they begin and end. */
import { useMemo } from 'preact/hooks';
import type { Flow } from '../../src/flows/flow.ts';
import { callerText } from '../lib/calls.ts';
import { readFilter } from '../lib/filter.ts';
import { counted, durationText, hostPortText, timeText } from '../lib/format.ts';
import { parameter, setParameter } from '../lib/router.ts';
import { calls, paused, rateOf, resume, state, waiting } from '../lib/store.ts';
import { Empty, Name, Page, Verdict } from '../parts/basics.tsx';
import { CallDetails } from '../parts/call-details.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { NobodyTells, ToldCalls } from '../parts/told.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';

const COLUMNS = [
  { title: 'Time', class: 'c-time' },
  { title: 'Verdict', class: 'c-verdict' },
  { title: 'Caller', class: 'c-caller' },
  { title: 'Host', class: 'c-host' },
  { title: 'Request', class: 'c-request' },
  { title: 'Status', class: 'c-status' },
  { title: 'Way', class: 'c-way' },
  { title: 'Took', class: 'c-took' },
] as const;

export function FlowsPage() {
  const text = parameter('filter');
  const opened = parameter('call');
  const { fits, problem } = useMemo(() => readFilter(text), [text]);
  const all = calls.value;
  const shown = useMemo(() => all.filter(fits), [all, fits]);
  const flow = shown.find(({ id }) => id === opened);
  const about = `${counted(shown.length, 'call')}${shown.length === all.length ? '' : ` of ${all.length}`}, ${rateOf(shown).toFixed(1)} a second in the last minute`;
  return (
    <Page title="Flows" about={about} actions={<PauseButton />}>
      <FilterBox
        value={text}
        change={(value) => setParameter('filter', value)}
        label="Filter the calls"
        hint="verdict:refused host:*.example.com protocol:tls proxy:ns/name"
        problem={problem}
      />
      <ToldCalls />
      {shown.length === 0 ? (
        <Nothing filtered={all.length > 0} />
      ) : (
        <div class={flow ? 'split split-open' : 'split'}>
          <VirtualList
            items={shown}
            keyOf={({ id }) => id}
            height={30}
            label="Calls"
            columns={COLUMNS}
            row={rowOf}
            open={(one) => setParameter('call', one?.id ?? '')}
            opened={opened}
          />
          {flow && <CallDetails key={flow.id} flow={flow} close={() => setParameter('call', '')} />}
        </div>
      )}
    </Page>
  );
}

function rowOf(flow: Flow) {
  const { time, verdict, host, port, protocol, method, path, status, gateway, role, duration } = flow;
  return [
    <span class="mono dim">{timeText(time)}</span>,
    <Verdict of={verdict ?? 'running'} />,
    <Name>{callerText(flow)}</Name>,
    <Name>{hostPortText(host, port)}</Name>,
    <Name>{method ? `${method} ${path ?? ''}` : protocol}</Name>,
    <span class="mono">{status ?? ''}</span>,
    <Name>{role === 'router' ? `at ${flow.proxy}` : gateway ? `by ${gateway}` : verdict === 'refused' ? '' : 'direct'}</Name>,
    <span class="mono dim">{durationText(duration)}</span>,
  ];
}

function PauseButton() {
  if (!paused.value)
    return (
      <button
        type="button"
        class="button"
        onClick={() => {
          paused.value = true;
        }}
      >
        Pause
      </button>
    );
  return (
    <button type="button" class="button primary" onClick={resume}>
      Go on{waiting.value > 0 ? ` (${counted(waiting.value, 'event')} waiting)` : ''}
    </button>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No call fits the filter.">Press Escape in the filter to see all.</Empty>;
  if (state.value?.kind === 'cluster')
    return state.value.hasFlows ? (
      <Empty title="No call yet.">
        Calls appear as workloads make them. Of those from before, proxies remember the last ones: of an Envoy those that were refused or
        failed, and connections.
      </Empty>
    ) : (
      <NobodyTells />
    );
  if (state.value && !state.value.hasFlows)
    return (
      <Empty title="Nothing runs here.">
        These are resources that were read. Calls are shown by the console of <code>sallyport up</code>, with the embedded engine.
      </Empty>
    );
  return (
    <Empty title="No call yet.">
      Calls appear as applications make them, e.g. <code>curl -x http://127.0.0.1:15080 http://HOST/</code>. Of those from before the
      console was first opened the last ones are here, and all in the access logs.
    </Empty>
  );
}
