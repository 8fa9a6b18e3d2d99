/** What was refused or failed, grouped; of each group why, and what would allow it. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Flow } from '../../src/flows/flow.ts';
import { callerText, reasonText } from '../lib/calls.ts';
import { readFilter } from '../lib/filter.ts';
import { counted, countText, hostPortText, timeText } from '../lib/format.ts';
import { parameter, setParameter } from '../lib/router.ts';
import { state, wrongCalls } from '../lib/store.ts';
import { Empty, Name, Page, Verdict } from '../parts/basics.tsx';
import { CallDetails } from '../parts/call-details.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { NobodyTells, ToldCalls } from '../parts/told.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';

/** Calls of one caller to one host that ended alike. */
interface Group {
  readonly key: string;
  /** The newest. */
  readonly last: Flow;
  readonly count: number;
}

const MINUTE = '1m';

const COLUMNS = [
  { title: 'Calls', class: 'c-count' },
  { title: 'Last', class: 'c-time' },
  { title: 'Verdict', class: 'c-verdict' },
  { title: 'Host', class: 'c-host' },
  { title: 'Caller', class: 'c-caller' },
  { title: 'Why', class: 'c-why' },
] as const;

export function RefusedPage() {
  const text = parameter('filter');
  const opened = parameter('group');
  const { fits, problem } = useMemo(() => readFilter(text), [text]);
  const isRecent = parameter('since') === MINUTE;
  const now = useNow(isRecent);
  const wrong = wrongCalls.value;
  const all = useMemo(() => (isRecent ? wrong.filter(({ time }) => Date.parse(time) >= now - 60_000) : wrong), [wrong, isRecent, now]);
  const groups = useMemo(() => groupsOf(all.filter(fits)), [all, fits]);
  const group = groups.find(({ key }) => key === opened);
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  return (
    <Page
      title="Refused"
      about={`${counted(total, 'call')} in ${counted(groups.length, 'group')} by host, caller and reason`}
      actions={<Since isRecent={isRecent} />}
    >
      <FilterBox
        value={text}
        change={(value) => setParameter('filter', value)}
        label="Filter the groups"
        hint="verdict:refused host:*.example.com proxy:ns/name"
        problem={problem}
      />
      <ToldCalls />
      {groups.length === 0 ? (
        <Nothing filtered={all.length > 0} isRecent={isRecent && wrong.length > 0} />
      ) : (
        <div class={group ? 'split split-open' : 'split'}>
          <VirtualList
            items={groups}
            keyOf={({ key }) => key}
            height={30}
            label="Groups of refused calls"
            columns={COLUMNS}
            row={rowOf}
            open={(one) => setParameter('group', one?.key ?? '')}
            opened={opened}
          />
          {group && <CallDetails key={group.key} flow={group.last} close={() => setParameter('group', '')} />}
        </div>
      )}
    </Page>
  );
}

function Since({ isRecent }: { isRecent: boolean }) {
  return (
    <button
      type="button"
      class={isRecent ? 'button primary' : 'button'}
      aria-pressed={isRecent}
      onClick={() => setParameter('since', isRecent ? '' : MINUTE)}
    >
      Last minute
    </button>
  );
}

/** The time, ms since the epoch, kept up with while it is wanted. */
function useNow(isWanted: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isWanted) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, [isWanted]);
  return now;
}

/** The one with the newest call first. */
function groupsOf(calls: readonly Flow[]): Group[] {
  const groups = Map.groupBy(calls, (flow) =>
    [flow.verdict, flow.protocol, hostPortText(flow.host, flow.port), callerText(flow), flow.role, reasonText(flow)].join(' '),
  );
  return [...groups].map(([key, members]) => ({ key, last: members[0]!, count: members.length }));
}

function rowOf({ last, count }: Group) {
  return [
    <span class="mono number">{countText(count)}</span>,
    <span class="mono dim">{timeText(last.time)}</span>,
    <Verdict of={last.verdict ?? ''} />,
    <Name>{hostPortText(last.host, last.port)}</Name>,
    <Name>{callerText(last)}</Name>,
    <Name mono={false}>{reasonText(last)}</Name>,
  ];
}

function Nothing({ filtered, isRecent }: { filtered: boolean; isRecent: boolean }) {
  if (isRecent && !filtered) return <Empty title="Nothing was refused in the last minute.">Before it, calls were.</Empty>;
  if (filtered) return <Empty title="Nothing that was refused fits the filter." />;
  if (state.value?.kind === 'cluster' && !state.value.hasFlows) return <NobodyTells />;
  if (state.value && !state.value.hasFlows)
    return (
      <Empty title="Nothing runs here.">
        The console of <code>sallyport up</code> shows what was refused. Which calls these resources would refuse stands in Way out and
        Proof.
      </Empty>
    );
  return <Empty title="Nothing was refused.">Every call that is known here was allowed and answered.</Empty>;
}
