/** The way of a call, hop by hop, and what would allow a refused one. */
import type { Explained } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { state } from '../lib/store.ts';
import { Asking, CopyButton, DownloadButton, Failure, OriginLink } from './basics.tsx';

export interface AskedCall {
  readonly url: string;
  readonly from: string;
  readonly method?: string | undefined;
  readonly to?: string | undefined;
}

export function Explanation({ call, saw }: { call: AskedCall; saw?: string | undefined }) {
  const asked = useAsked<Explained>('/explain', { ...call }, state.value?.snapshot);
  if (asked.kind === 'asking') return <Asking what="Following the call…" />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  const { answer } = asked;
  const reaches = answer.outcome === 'upstream';
  const verdict = reaches ? 'allowed' : answer.outcome === 'undecided' ? 'undecided' : 'refused';
  // What failed beyond the proxies was allowed by them.
  const differs = saw !== undefined && verdict !== 'undecided' && (saw === 'refused') !== (verdict === 'refused');
  return (
    <section class="explained" aria-label="The way of such a call">
      <p class={`outcome outcome-${verdict}`}>{answer.text}</p>
      {differs && (
        <p class="note">
          The call itself was {saw}. The configuration may have changed since, or something decides that is not kept of calls: headers, a
          query, a token.
        </p>
      )}
      <p class="dim">
        <span class="mono">{answer.from}</span> connects to <span class="mono">{answer.destination}</span>
        {answer.resolved && ` (${answer.resolved})`}
      </p>
      <ol class="hops">
        {answer.hops.map((hop, i) => (
          <li key={`${i} ${hop.proxy}`} class="hop">
            <h3 class="mono">
              {hop.proxy} {hop.flag && <span class="tag tag-bad">flag {hop.flag}</span>}
            </h3>
            <ol class="steps">
              {hop.steps.map((step, j) => (
                <li key={`${j} ${step.kind}`}>
                  <span class="step-kind">{step.kind}</span>
                  <div class="step-text">
                    {step.name && <span class="mono">{step.name}</span>} {step.text}
                    {step.origins.map((origin) => (
                      <OriginLink key={`${origin.kind} ${origin.namespace}/${origin.name}`} origin={origin} />
                    ))}
                  </div>
                </li>
              ))}
            </ol>
          </li>
        ))}
      </ol>
      {answer.isCut && <p class="note">What is in namespaces that you may not see is left out of this way.</p>}
      {answer.copies.map((copy) => (
        <p key={copy} class="note">
          A copy of the request: {copy}
        </p>
      ))}
      {verdict === 'refused' && <Mend answer={answer} call={call} />}
    </section>
  );
}

function Mend({ answer: { nearMisses, whyNot, allow }, call }: { answer: Explained; call: AskedCall }) {
  if (nearMisses.length + whyNot.length === 0 && allow === undefined) return null;
  return (
    <section class="mend" aria-label="What would allow it">
      <h3>What would allow this</h3>
      {nearMisses.map((line) => (
        <p key={line}>{line}</p>
      ))}
      {whyNot.map((line) => (
        <p key={line}>{line}</p>
      ))}
      {allow !== undefined && <Allowance text={allow} name={hostOf(call.url)} />}
    </section>
  );
}

function Allowance({ text, name }: { text: string; name: string }) {
  // A comment at the top says what to change in a resource that is there.
  const isPatch = !text.startsWith('#');
  const file = `allow-${name.replace(/[^a-z0-9.-]+/gi, '-').replace(/^[.-]+/, '')}.yaml`;
  return (
    <>
      <p class="dim">Proved before it is shown: it allows this call, opens nothing but its host and port, and brings no new error.</p>
      <Added text={text} file={isPatch ? file : undefined} />
      <div class="actions">
        <CopyButton text={text} label="Copy YAML" />
        {isPatch && <DownloadButton text={patchOf(file, text)} file={`${file}.patch`} label="Download patch" />}
      </div>
    </>
  );
}

/** Lines that are added, as a diff shows them. */
export function Added({ text, file }: { text: string; file?: string | undefined }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled with the keys.
    <pre class="diff" tabIndex={0}>
      {file !== undefined && <span class="diff-file">{`+++ ${file}\n`}</span>}
      {text
        .trimEnd()
        .split('\n')
        .map((line, i) => (
          <span key={i} class={line.startsWith('#') ? 'diff-note' : 'diff-added'}>
            {`${line.startsWith('#') ? ' ' : '+'} ${line}\n`}
          </span>
        ))}
    </pre>
  );
}

/** As git apply takes it. */
function patchOf(file: string, text: string): string {
  const lines = text.trimEnd().split('\n');
  const head = `diff --git a/${file} b/${file}\nnew file mode 100644\n--- /dev/null\n+++ b/${file}\n@@ -0,0 +1,${lines.length} @@\n`;
  return `${head}${lines.map((line) => `+${line}\n`).join('')}`;
}

function hostOf(url: string): string {
  return /^[a-z]+:\/\/(\[[^\]]*\]|[^:/]*)/.exec(url)?.[1]?.replace(/[[\]]/g, '') ?? 'host';
}
