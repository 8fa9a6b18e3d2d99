/** The comparison that was asked for last, and its answer. */
import { signal } from '@preact/signals';
import type { Difference } from '../../src/console/model.ts';
import { askLong, isAborted } from '../lib/api.ts';
import { counted } from '../lib/format.ts';
import { state } from '../lib/store.ts';
import { Asking, Empty, Failure, Names, Verdict } from './basics.tsx';

type Comparing =
  | { readonly kind: 'none' }
  | { readonly kind: 'comparing'; readonly done: number; readonly stop: () => void }
  | { readonly kind: 'compared'; readonly answer: Difference }
  | { readonly kind: 'failed'; readonly message: string };

/** It outlives the page that it is on. */
export const comparing = signal<Comparing>({ kind: 'none' });

/** Sides as `/diff` takes them. */
export function compareSides(before: object, after: object): void {
  const gone = new AbortController();
  const stop = () => gone.abort();
  const progress = (done: number) => {
    comparing.value = { kind: 'comparing', done, stop };
  };
  progress(0);
  askLong<Difference>('/diff', progress, { body: { before, after }, signal: gone.signal }).then(
    (answer) => {
      comparing.value = { kind: 'compared', answer };
    },
    (error: unknown) => {
      comparing.value = isAborted(error) ? { kind: 'none' } : { kind: 'failed', message: (error as Error).message };
    },
  );
}

export function StopButton() {
  const { value } = comparing;
  if (value.kind !== 'comparing') return null;
  return (
    <button type="button" class="button" onClick={value.stop}>
      Stop
    </button>
  );
}

export function Compared() {
  const { value } = comparing;
  switch (value.kind) {
    case 'none':
      return null;
    case 'comparing':
      return <Asking what={`Comparing… ${counted(value.done, 'call')} compared`} />;
    case 'failed':
      return <Failure message={value.message} />;
    case 'compared':
      return <Answer answer={value.answer} />;
  }
}

/** As the choice of sides has it. */
function sideText(name: string): string {
  return name === 'what is shown' && state.value?.kind === 'up' ? 'what is in force' : name;
}

function Answer({ answer: { before, after, groups, undecided, added, removed, invalid, isCut } }: { answer: Difference }) {
  return (
    <section class="stack" aria-label="What changes">
      <p class="dim">
        From {sideText(before)} to {sideText(after)}
      </p>
      {invalid.map((line) => (
        <div key={line} class="failure">
          Not valid, and left out of this answer: {line}
        </div>
      ))}
      {undecided.map((line) => (
        <p key={line}>
          <Verdict of="undecided" /> {line}
        </p>
      ))}
      {isCut && (
        <p class="note">
          Calls of workloads in namespaces that you may see. Those of others may change as well, where what is changed is exported to them.
        </p>
      )}
      {groups.length === 0 && undecided.length === 0 && (
        <Empty title="No call changes its outcome.">{invalid.length > 0 ? 'As far as the sides are valid.' : ''}</Empty>
      )}
      {groups.map((group) => (
        <section key={group.causes.join()} class="card" aria-label={group.causes.join(', ')}>
          {group.causes.length > 1 && <p class="dim">All or some of these:</p>}
          {group.causes.map((cause) => (
            <h2 key={cause} class="cause">
              {cause}
            </h2>
          ))}
          {group.rows.map((row) => (
            <div key={`${row.kind} ${row.example} ${row.after}`} class="example">
              <p>
                <Verdict of={row.kind} /> <Names of={row.workloads} />: a call to <strong>{row.destinations.join('; ')}</strong> {row.after}
                ; before, it {row.before.join(' or ')}
              </p>
              <p class="dim">
                e.g. <code>{row.example}</code>
              </p>
            </div>
          ))}
        </section>
      ))}
      {added.length > 0 && (
        <p class="dim">
          Not compared, as only the second side has them: <Names of={added} />
        </p>
      )}
      {removed.length > 0 && (
        <p class="dim">
          Not compared, as only the first side has them: <Names of={removed} />
        </p>
      )}
    </section>
  );
}
