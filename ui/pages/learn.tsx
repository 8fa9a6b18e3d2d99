/** What `up --learn` records, and the resources that would allow as much of it as one accepts. */
import { useEffect, useState } from 'preact/hooks';
import type { Learned } from '../../src/console/model.ts';
import { ask, isAborted } from '../lib/api.ts';
import { counted } from '../lib/format.ts';
import { parameter, setParameter } from '../lib/router.ts';
import { calls, state } from '../lib/store.ts';
import { Asking, CopyButton, DownloadButton, Empty, Failure, Page } from '../parts/basics.tsx';
import { Added } from '../parts/explained.tsx';

/** Hosts hold no spaces. */
const SEPARATOR = ' ';

export function LearnPage() {
  if (!state.value?.isLearning)
    return (
      <Page title="Learn">
        <Empty title="Nothing is recorded.">
          <code>sallyport up --learn FILE</code> allows every call and records it, and this page shows the resources that would allow it.
        </Empty>
      </Page>
    );
  return <Recording />;
}

function Recording() {
  const without = parameter('without').split(SEPARATOR).filter(Boolean);
  const { learned, problem } = useLearned(without);
  const choose = (host: string, accepted: boolean) => {
    const others = without.filter((one) => one !== host);
    setParameter('without', (accepted ? others : [...others, host]).join(SEPARATOR));
  };
  if (problem)
    return (
      <Page title="Learn">
        <Failure message={problem} />
      </Page>
    );
  if (!learned)
    return (
      <Page title="Learn">
        <Asking />
      </Page>
    );
  const { observed, text, file, declared } = learned;
  return (
    <Page
      title="Learn"
      about={`${counted(observed.length, 'destination')} not declared; ${counted(declared, 'other call')} went to what is`}
    >
      {observed.length === 0 ? (
        <Empty title="Nothing was called yet that the files do not declare." />
      ) : (
        <div class="stack">
          <section class="card" aria-label="What was called">
            {observed.map(({ host, port, protocol, count, last }) => (
              <p key={`${host} ${port} ${protocol}`}>
                <label>
                  <input
                    type="checkbox"
                    checked={!without.includes(host)}
                    onChange={(event) => choose(host, event.currentTarget.checked)}
                  />{' '}
                  <span class="mono">
                    {host}:{port}
                  </span>{' '}
                  <span class="dim">
                    {protocol}, {counted(count, 'call')}
                    {last && `, last ${last}`}
                  </span>
                </label>
              </p>
            ))}
          </section>
          {text === '' ? (
            <Empty title="Nothing is accepted." />
          ) : (
            <section class="card" aria-label="The resources">
              <p class="dim">
                These allow what is accepted, by their hosts and ports. They are held against the recorded calls, and what else they would
                open, when the run ends; all of it is written to <span class="mono">{file}</span>.
              </p>
              <Added text={text} />
              <div class="actions">
                <CopyButton text={text} label="Copy YAML" />
                <DownloadButton text={text} file="learned.yaml" label="Download" />
              </div>
            </section>
          )}
        </div>
      )}
    </Page>
  );
}

/** Asked anew as calls come. */
function useLearned(without: readonly string[]): { readonly learned: Learned | undefined; readonly problem: string } {
  const [learned, setLearned] = useState<Learned>();
  const [problem, setProblem] = useState('');
  const key = without.join(SEPARATOR);
  useEffect(() => {
    const gone = new AbortController();
    ask<Learned>('/learned', { without }, gone.signal).then(
      (found) => {
        setLearned(found);
        setProblem('');
      },
      (error: unknown) => {
        if (!isAborted(error)) setProblem((error as Error).message);
      },
    );
    return () => gone.abort();
  }, [key, calls.value]);
  return { learned, problem };
}
