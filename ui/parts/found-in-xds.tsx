/** The lines of what proxies run that a text stands in. */
import type { Match, Matches } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { counted } from '../lib/format.ts';
import { parameter, setParameter } from '../lib/router.ts';
import { Asking, Empty, Failure, Name } from './basics.tsx';
import { VirtualList } from './virtual-list.tsx';

const COLUMNS = [
  { title: 'Proxy', class: 'c-caller' },
  { title: 'Section', class: 'c-code' },
  { title: 'Line', class: 'c-why' },
] as const;

export function FoundInXds({ text, version }: { text: string; version: unknown }) {
  const asked = useAsked<Matches>('/search', { text }, version);
  if (asked.kind === 'asking') return <Asking what="Searching…" />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  const { matches, left } = asked.answer;
  if (matches.length === 0) return <Empty title="No proxy runs anything with this text." />;
  const opened = [parameter('proxy'), parameter('type'), parameter('line')].join(' ');
  return (
    <div class="stack">
      {left > 0 && <p class="note">{counted(left, 'line')} more: say more of what you look for.</p>}
      <VirtualList
        items={matches}
        keyOf={keyOf}
        height={30}
        label="Lines of what proxies run"
        columns={COLUMNS}
        row={({ proxy, type, text: line }) => [<Name>{proxy}</Name>, <Name mono={false}>{type}</Name>, <Name>{line}</Name>]}
        open={(match) => {
          setParameter('proxy', match?.proxy ?? '');
          setParameter('type', match?.type ?? '');
          setParameter('line', match ? String(match.line) : '');
        }}
        opened={opened}
      />
    </div>
  );
}

function keyOf({ proxy, type, line }: Match): string {
  return [proxy, type, line].join(' ');
}
