/** The change that mends a finding, as a diff that was tried before it is shown. */
import { useState } from 'preact/hooks';
import type { FindingView, Mend } from '../../src/console/model.ts';
import { tell } from '../lib/api.ts';
import { useAsked } from '../lib/asked.ts';
import { fileName } from '../lib/paths.ts';
import { state } from '../lib/store.ts';
import { Asking, CopyButton, DownloadButton, Failure } from './basics.tsx';

export function FindingMend({ finding: { code, place, column } }: { finding: FindingView }) {
  const key = { code, file: place?.file ?? '', line: String(place?.line ?? 0), column: String(column ?? 0) };
  // Once: a file that was written is another before its findings are. What has changed since is not written over.
  const asked = useAsked<Mend>('/mend', key);
  const [problem, setProblem] = useState('');
  if (asked.kind === 'asking') return <Asking what="Trying the change…" />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  const { patch, digest, file, gone, news } = asked.answer;
  const write = () =>
    tell('/mend/write', { ...key, digest }).then(
      () => setProblem(''),
      (error: unknown) => setProblem((error as Error).message),
    );
  return (
    <section class="mend" aria-label="The change that mends it">
      <h3>What mends this</h3>
      <p class="dim">
        {gone
          ? news.length === 0
            ? 'Tried before it is shown: the finding is gone with it, and no new one comes.'
            : 'Tried before it is shown: the finding is gone with it, and these come:'
          : 'Tried before it is shown: the finding is still there with it.'}
      </p>
      {news.map((line) => (
        <p key={line} class="note">
          {line}
        </p>
      ))}
      <Diff patch={patch} />
      <div class="actions">
        <CopyButton text={patch} label="Copy patch" />
        <DownloadButton text={patch} file={`${fileName(file).replace(/[^a-z0-9.-]+/gi, '-')}.patch`} label="Download patch" />
        {state.value?.canEdit && (
          <button type="button" class="button" onClick={write}>
            Write it to the file
          </button>
        )}
      </div>
      {problem && <Failure message={problem} />}
    </section>
  );
}

const CLASSES: Readonly<Record<string, string>> = {
  '+': 'diff-added',
  '-': 'diff-removed',
  '@': 'diff-note',
  d: 'diff-note',
  '\\': 'diff-note',
};

function Diff({ patch }: { patch: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled with the keys.
    <pre class="diff" tabIndex={0}>
      {patch
        .trimEnd()
        .split('\n')
        .map((line, i) => (
          <span key={i} class={i < 3 ? 'diff-file' : (CLASSES[line[0] ?? ''] ?? '')}>
            {`${line}\n`}
          </span>
        ))}
    </pre>
  );
}
