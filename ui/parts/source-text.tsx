/** A file's text with its lines, one of them marked. The editor is loaded when it is first needed. */
import { useEffect, useRef } from 'preact/hooks';
import type { SourceView } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { state } from '../lib/store.ts';
import { Asking, Failure } from './basics.tsx';

export function SourceText({ file, line, whole = false }: { file: string; line: number; whole?: boolean }) {
  const asked = useAsked<SourceView>('/source', { file }, state.value?.snapshot);
  if (asked.kind === 'asking') return <Asking what="Reading the file…" />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  return (
    <figure class={whole ? 'source source-whole' : 'source'}>
      <figcaption class="mono dim">
        {file}
        {line > 0 && `:${line}`}
        {asked.answer.cut && ' (only its beginning)'}
      </figcaption>
      <TextView text={asked.answer.text} line={line} whole={whole} label={file} />
    </figure>
  );
}

interface ViewProps {
  readonly text: string;
  /** What stands in an editor at first, where it is not the text. */
  readonly start?: string;
  readonly line: number;
  readonly label: string;
  /** Takes the height that there is, not a few lines. */
  readonly whole?: boolean;
  /** Told what stands in it, where it may be edited. */
  readonly change?: (text: string) => void;
}

export function TextView({ text, start = text, line, label, whole = false, change }: ViewProps) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    let end = () => {};
    void import('./editor.ts').then(({ openEditor }) => {
      if (!gone) end = openEditor(frame.current!, { text: start, line, label, change });
    });
    return () => {
      gone = true;
      end();
    };
  }, [text, line, label, change]);
  return <div ref={frame} class={whole ? 'code code-whole' : 'code'} />;
}
