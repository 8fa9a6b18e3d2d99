/** What holds of all calls, and the calls that show where it does not. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Verdict as ProvedVerdict, Verification } from '../../src/console/model.ts';
import { askLong, isAborted } from '../lib/api.ts';
import { counted } from '../lib/format.ts';
import { linkTo, parameter, setParameter } from '../lib/router.ts';
import { state } from '../lib/store.ts';
import { Asking, CopyButton, DownloadButton, Empty, Failure, Names, OriginLink, Page, Verdict } from '../parts/basics.tsx';
import { Added, Explanation } from '../parts/explained.tsx';

type Proof =
  | { readonly kind: 'none' }
  | { readonly kind: 'proving'; readonly done: number; readonly stop: () => void }
  | { readonly kind: 'proved'; readonly answer: Verification; readonly snapshot: number }
  | { readonly kind: 'failed'; readonly message: string };

/** Kept while other pages are looked at: a proof may take long. */
const proof = signal<Proof>({ kind: 'none' });

function prove(): void {
  const gone = new AbortController();
  const snapshot = state.value?.snapshot ?? 0;
  const stop = () => gone.abort();
  proof.value = { kind: 'proving', done: 0, stop };
  const progress = (done: number) => {
    proof.value = { kind: 'proving', done, stop };
  };
  askLong<Verification>('/verify', progress, { signal: gone.signal }).then(
    (answer) => {
      proof.value = { kind: 'proved', answer, snapshot };
    },
    (error: unknown) => {
      proof.value = isAborted(error) ? { kind: 'none' } : { kind: 'failed', message: (error as Error).message };
    },
  );
}

export function ProofPage() {
  const { value } = proof;
  const isDump = state.value?.kind === 'dump';
  useEffect(() => {
    if (proof.value.kind === 'none' && !isDump) prove();
  }, [isDump]);
  const old = value.kind === 'proved' && value.snapshot !== state.value?.snapshot;
  const actions =
    value.kind === 'proving' ? (
      <button type="button" class="button" onClick={value.stop}>
        Stop
      </button>
    ) : (
      !isDump && (
        <button type="button" class={old ? 'button primary' : 'button'} onClick={prove}>
          Prove again
        </button>
      )
    );
  return (
    <Page title="Proof" about="What holds of every call that a workload could make" actions={actions}>
      {isDump && (
        <Empty title="A config dump holds no resources.">Statements are proved about resources: open their files with sallyport ui.</Empty>
      )}
      {old && <p class="note">The configuration has changed since this was proved.</p>}
      {value.kind === 'proving' && <Asking what={`Proving… ${counted(value.done, 'class', 'classes')} of calls judged`} />}
      {value.kind === 'none' && !isDump && <Empty title="Nothing was proved.">The proof was stopped.</Empty>}
      {value.kind === 'failed' && <Failure message={value.message} />}
      {value.kind === 'proved' && <Answer answer={value.answer} />}
    </Page>
  );
}

function Answer({ answer: { verdicts, policies } }: { answer: Verification }) {
  return (
    <>
      {verdicts.map((verdict) => (
        <Statement key={verdict.adversary + verdict.statement} verdict={verdict} />
      ))}
      {policies !== '' && (
        <section class="card" aria-label="NetworkPolicies to add">
          <h2>NetworkPolicies that close the ways round</h2>
          <p class="dim">In a cluster. On one machine it is sallyport run that holds a program which does not use the proxy.</p>
          <Added text={policies} file="egress-policies.yaml" />
          <div class="actions">
            <CopyButton text={policies} label="Copy YAML" />
            <DownloadButton text={policies} file="egress-policies.yaml" label="Download" />
          </div>
        </section>
      )}
    </>
  );
}

function Statement({
  verdict: { adversary, statement, result, cells, counterexamples, openings, undecided, notes },
}: {
  verdict: ProvedVerdict;
}) {
  const opened = parameter('example');
  return (
    <section class="card" aria-label={statement}>
      <header class="statement">
        <Verdict of={result} />
        <h2>{statement}</h2>
      </header>
      <p class="dim">
        {adversary === 'captured' ? 'Applications all of whose traffic their sidecar takes' : 'Applications that go round their sidecar'};{' '}
        {counted(cells, 'class', 'classes')} of calls judged.
      </p>
      {counterexamples.map((group) => {
        const key = `${group.way} ${group.example} ${group.workloads.join()}`;
        return (
          <div key={key} class="example">
            <p>
              <Names of={group.workloads} />: a call to <strong>{group.destinations.join('; ')}</strong> {group.way}
            </p>
            {group.origins.map((origin) => (
              <OriginLink key={`${origin.kind} ${origin.name}`} origin={origin} />
            ))}
            <p class="dim">
              {counted(group.count, 'call')}, e.g. <code>{group.example}</code>{' '}
              <button
                type="button"
                class="button quiet inline"
                aria-expanded={opened === key}
                onClick={() => setParameter('example', opened === key ? '' : key)}
              >
                {opened === key ? 'Close' : 'Explain it'}
              </button>
            </p>
            {opened === key && <Explanation call={group.call} />}
          </div>
        );
      })}
      {openings.map((opening) => (
        <p key={opening.how + opening.workloads.join()} class="example">
          <Names of={opening.workloads} /> {opening.how}
        </p>
      ))}
      {undecided.map((line) => (
        <p key={line} class="example">
          <Verdict of="undecided" /> {line}
        </p>
      ))}
      {notes.map((line) => (
        <p key={line} class="note">
          {line}
        </p>
      ))}
      {result === 'proved' && counterexamples.length === 0 && (
        <p>
          No call breaks it. <a href={linkTo('way-out')}>The ways out</a>
        </p>
      )}
    </section>
  );
}
