/** What a change does to calls: two sides, and who reaches what otherwise. */
import { signal } from '@preact/signals';
import { useCallback, useEffect, useId, useMemo } from 'preact/hooks';
import type { ResourceView, SourceView } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { pack, unpack } from '../lib/packed.ts';
import { fileName } from '../lib/paths.ts';
import { linkTo, parameter, setParameter } from '../lib/router.ts';
import { state } from '../lib/store.ts';
import { Asking, CopyButton, Empty, Failure, Page } from '../parts/basics.tsx';
import { Compared, compareSides, comparing, StopButton } from '../parts/compared.tsx';
import { TextView } from '../parts/source-text.tsx';
import { ClusterChange } from './change-in-cluster.tsx';

/** What stands in the editor, by file: it outlives the page that it is on. */
const edits = signal<ReadonlyMap<string, string>>(new Map());

/** The word of a side in the address: empty for what is shown, `file:` and a file for one that is edited, or a revision or path. */
const EDITED = 'file:';

/** The address of this comparison for another person, with what was edited; their console has the same files or revisions. */
async function shared(before: string, after: string): Promise<string> {
  const texts = [before, after].filter((spec) => spec.startsWith(EDITED)).map((spec) => edits.value.get(spec.slice(EDITED.length)) ?? '');
  const edited = texts.length > 0 ? await pack(JSON.stringify(texts)) : '';
  return new URL(linkTo('change', { before: named(before), after: named(after), edited }), location.href).href;
}

/** Where a repository lies is each person's own. */
function named(spec: string): string {
  return spec.startsWith(EDITED) ? EDITED + fileName(spec.slice(EDITED.length)) : spec;
}

/** Takes up what an address brings that another person made. Returns what is wrong with it. */
async function takeShared(packed: string, files: readonly string[]): Promise<string | undefined> {
  const texts = textsOf(await unpack(packed));
  const sides = (['before', 'after'] as const).filter((name) => parameter(name).startsWith(EDITED));
  if (texts?.length !== sides.length) return 'What was edited did not come whole with this address: ask for it again.';
  for (const [i, side] of sides.entries()) {
    const name = parameter(side).slice(EDITED.length);
    const [file, ...others] = files.filter((each) => fileName(each) === name);
    if (file === undefined) return `This console shows no file ${name}, which the address is about: start it where that file is.`;
    if (others.length > 0) return `Several files are named ${name}: choose one, and paste what was edited.`;
    const own = edits.value.get(file);
    if (own !== undefined && own !== texts[i])
      return `${name} is being edited here: reload the page to forget that, and open the address again.`;
    edits.value = new Map(edits.value).set(file, texts[i]!);
    setParameter(side, EDITED + file);
  }
  setParameter('edited', '');
  return undefined;
}

function textsOf(unpacked: string | undefined): readonly string[] | undefined {
  if (unpacked === undefined) return undefined;
  const value: unknown = JSON.parse(unpacked);
  return Array.isArray(value) && value.every((text) => typeof text === 'string') ? value : undefined;
}

function sideOf(spec: string): object {
  if (!spec.startsWith(EDITED)) return spec === '' ? {} : { spec };
  const file = spec.slice(EDITED.length);
  return { file, text: edits.value.get(file) ?? '' };
}

function compare(before: string, after: string): void {
  compareSides(sideOf(before), sideOf(after));
}

/** The question of whoever reviews a branch that is checked out. */
function compareWithMain(): void {
  const within = state.value?.within;
  const before = within ? `git:main:${within}` : 'git:main';
  setParameter('before', before);
  setParameter('after', '');
  compare(before, '');
}

export function ChangePage() {
  const before = parameter('before');
  const after = parameter('after');
  const packed = parameter('edited');
  const { value } = comparing;
  const edited = [before, after].find((spec) => spec.startsWith(EDITED))?.slice(EDITED.length);
  if (packed !== '') return <Shared packed={packed} />;
  if (state.value?.kind === 'dump')
    return (
      <Page title="Change">
        <Empty title="A config dump holds no resources.">Changes are compared of resources: open their files with sallyport ui.</Empty>
      </Page>
    );
  if (state.value?.kind === 'cluster') return <ClusterChange />;
  return (
    <Page title="Change" about="Which calls end differently, and what of the configuration that comes from">
      <form
        class="sides"
        onSubmit={(event) => {
          event.preventDefault();
          compare(before, after);
        }}
      >
        <Side title="Before" spec={before} name="before" />
        <Side title="After" spec={after} name="after" />
        <button type="submit" class="button primary" disabled={before === after || value.kind === 'comparing'}>
          Compare
        </button>
        {before !== after && <CopyButton key={`${before} ${after}`} text={() => shared(before, after)} label="Copy link" />}
        <StopButton />
      </form>
      {edited !== undefined && <Editor key={edited} file={edited} />}
      <Compared />
      {value.kind === 'none' && edited === undefined && <Nothing />}
    </Page>
  );
}

function Nothing() {
  return (
    <div class="empty">
      <p class="empty-title">What does a branch or a pull request open?</p>
      <p>Start the console in its working tree; what is shown is compared with main. Nothing is written.</p>
      <div class="actions">
        <button type="button" class="button primary" onClick={compareWithMain}>
          What does this open beyond main?
        </button>
      </div>
      <p>
        <br />
        Or choose two sides above: a revision of the repository that Sallyport was started in, as <code>git:REV:PATH</code>, or a file that
        you edit here.
      </p>
    </div>
  );
}

/** Until what came with the address is taken up. */
function Shared({ packed }: { packed: string }) {
  const resources = useAsked<readonly ResourceView[]>('/resources', {});
  const wrong = useMemo(() => signal<string | undefined>(undefined), [packed]);
  useEffect(() => {
    if (resources.kind !== 'answered') return;
    takeShared(packed, filesOf(resources.answer)).then(
      (problem) => {
        wrong.value = problem;
      },
      () => {
        wrong.value = 'This address holds no comparison.';
      },
    );
  }, [packed, resources.kind]);
  return (
    <Page title="Change">
      {resources.kind === 'failed' ? (
        <Failure message={resources.message} />
      ) : wrong.value === undefined ? (
        <Asking what="Reading what came with the address…" />
      ) : (
        <Failure message={wrong.value} />
      )}
    </Page>
  );
}

function filesOf(resources: readonly ResourceView[]): readonly string[] {
  return [...new Set(resources.map(({ place }) => place.file))];
}

function Side({ title, spec, name }: { title: string; spec: string; name: string }) {
  const id = useId();
  const resources = useAsked<readonly ResourceView[]>('/resources', {}, state.value?.snapshot);
  const files = resources.kind === 'answered' ? filesOf(resources.answer) : [];
  const kind = spec === '' ? 'shown' : spec.startsWith(EDITED) ? spec : 'revision';
  const choose = (chosen: string) => setParameter(name, chosen === 'shown' ? '' : chosen === 'revision' ? 'git:HEAD' : chosen);
  return (
    <div class="side">
      <label for={id}>{title}</label>
      <select id={id} value={kind} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="shown">{state.value?.kind === 'up' ? 'what is in force' : 'what is shown'}</option>
        <option value="revision">a revision of the repository</option>
        {files.map((file) => (
          <option key={file} value={EDITED + file}>
            {`${fileName(file)}, edited`}
          </option>
        ))}
      </select>
      {kind === 'revision' && (
        <input
          class="field mono"
          type="text"
          aria-label={`${title}: the revision, as git:REV:PATH`}
          value={spec}
          onInput={(event) => setParameter(name, event.currentTarget.value)}
        />
      )}
    </div>
  );
}

function Editor({ file }: { file: string }) {
  const asked = useAsked<SourceView>('/source', { file });
  const change = useCallback(
    (text: string) => {
      edits.value = new Map(edits.value).set(file, text);
    },
    [file],
  );
  if (asked.kind === 'asking') return <Asking what="Reading the file…" />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  if (asked.answer.cut) return <Failure message={`${file} is too long to be edited here.`} />;
  // What was edited before goes on; asked for once, as what is typed must not make a new editor.
  const text = edits.peek().get(file) ?? asked.answer.text;
  if (!edits.peek().has(file)) change(text);
  return <TextView text={asked.answer.text} start={text} line={0} label={`${file}, edited`} change={change} />;
}
