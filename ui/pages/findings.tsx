/** What is wrong with the configuration, with the lines that it is about. */
import { useMemo } from 'preact/hooks';
import type { FindingView } from '../../src/console/model.ts';
import { hasWords } from '../lib/filter.ts';
import { counted } from '../lib/format.ts';
import { fileName } from '../lib/paths.ts';
import { parameter, setParameter } from '../lib/router.ts';
import { findings, state } from '../lib/store.ts';
import { Details, Empty, Name, Page } from '../parts/basics.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { FindingMend } from '../parts/mend.tsx';
import { SourceText } from '../parts/source-text.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';

const COLUMNS = [
  { title: 'Level', class: 'c-verdict' },
  { title: 'Code', class: 'c-code' },
  { title: 'About', class: 'c-host' },
  { title: 'What is wrong', class: 'c-why' },
  { title: 'Where', class: 'c-place' },
] as const;

export function FindingsPage() {
  const text = parameter('filter');
  const opened = parameter('finding');
  const all = findings.value;
  const shown = useMemo(() => all.filter((finding) => contains(finding, text)), [all, text]);
  const finding = shown.find((one) => keyOf(one) === opened);
  const { errors = 0, warnings = 0, infos = 0 } = state.value ?? {};
  return (
    <Page title="Findings" about={`${counted(errors, 'error')}, ${counted(warnings, 'warning')}, ${counted(infos, 'note')}`}>
      <FilterBox
        value={text}
        change={(value) => setParameter('filter', value)}
        label="Filter the findings"
        hint="code, resource, file or words"
      />
      {shown.length === 0 ? (
        all.length > 0 ? (
          <Empty title="No finding fits the filter." />
        ) : (
          <Empty title="No findings.">Nothing is wrong with {counted(state.value?.resources ?? 0, 'resource')}.</Empty>
        )
      ) : (
        <div class={finding ? 'split split-open' : 'split'}>
          <VirtualList
            items={shown}
            keyOf={keyOf}
            height={30}
            label="Findings"
            columns={COLUMNS}
            row={rowOf}
            open={(one) => setParameter('finding', one ? keyOf(one) : '')}
            opened={opened}
          />
          {finding && <FindingDetails finding={finding} close={() => setParameter('finding', '')} />}
        </div>
      )}
    </Page>
  );
}

function rowOf({ level, code, origin, message, place }: FindingView) {
  return [
    <Level of={level} />,
    <span class="mono">{code}</span>,
    <Name>{origin}</Name>,
    <Name mono={false}>{message}</Name>,
    <Name>{place ? `${fileName(place.file)}${place.line > 0 ? `:${place.line}` : ''}` : ''}</Name>,
  ];
}

function Level({ of }: { of: FindingView['level'] }) {
  return <span class={`verdict level-${of.toLowerCase()}`}>{of === 'Info' ? 'note' : of.toLowerCase()}</span>;
}

function FindingDetails({ finding, close }: { finding: FindingView; close: () => void }) {
  const { code, level, origin, message, place, documentationUrl } = finding;
  return (
    <Details label="The finding" title={<span class="mono">{origin}</span>} close={close}>
      <p>
        <Level of={level} /> <span class="mono">{code}</span>{' '}
        {documentationUrl && (
          <a href={documentationUrl} target="_blank" rel="noreferrer noopener">
            Istio explains it
          </a>
        )}
      </p>
      <p class="message">{message}</p>
      {finding.mend && <FindingMend key={keyOf(finding)} finding={finding} />}
      {place && place.line > 0 && <SourceText file={place.file} line={place.line} />}
      {place && place.line === 0 && <p class="dim mono">{place.file}</p>}
    </Details>
  );
}

function contains(finding: FindingView, text: string): boolean {
  return hasWords([finding.code, finding.level, finding.origin, finding.message, finding.place?.file ?? ''].join(' '), text);
}

function keyOf({ code, origin, message, place, column }: FindingView): string {
  return [code, origin, place?.file ?? '', place?.line ?? '', column ?? '', message.length].join(' ');
}
