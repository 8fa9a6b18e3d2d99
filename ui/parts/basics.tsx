/** Small things that every page is made of. */
import type { ComponentChildren } from 'preact';
import type { Origin } from '../../src/console/model.ts';
import { fileName } from '../lib/paths.ts';
import { linkTo } from '../lib/router.ts';

export function Page({
  title,
  about,
  children,
  actions,
}: {
  title: string;
  about?: ComponentChildren;
  children: ComponentChildren;
  actions?: ComponentChildren;
}) {
  return (
    <main id="main" tabIndex={-1}>
      <header class="page-head">
        <h1>{title}</h1>
        {about && <p class="about">{about}</p>}
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </main>
  );
}

/** What there is to say where there is nothing to show. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What is opened beside a list. */
export function Details({
  label,
  title,
  close,
  children,
}: {
  label: string;
  title: ComponentChildren;
  close: () => void;
  children: ComponentChildren;
}) {
  return (
    <aside class="details" aria-label={label}>
      <header class="details-head">
        <h2>{title}</h2>
        <button type="button" class="button quiet" onClick={close} aria-label="Close">
          ✕
        </button>
      </header>
      {children}
    </aside>
  );
}

export function Failure({ message }: { message: string }) {
  return (
    <div class="failure" role="alert">
      <strong>No answer.</strong> {message}
    </div>
  );
}

export function Asking({ what = 'Asking…' }: { what?: string }) {
  return (
    <p class="asking" role="status">
      <span class="spinner" aria-hidden="true" /> {what}
    </p>
  );
}

/** A verdict in words, with its colour. */
export function Verdict({ of }: { of: string }) {
  return <span class={`verdict verdict-${of}`}>{of}</span>;
}

/** A long name: cut where there is no room, whole in its title and for whoever copies it. */
export function Name({ children, mono = true }: { children: string; mono?: boolean }) {
  return (
    <span class={mono ? 'name mono' : 'name'} title={children}>
      {children}
    </span>
  );
}

/** A resource, with a link to where it is written. */
export function OriginLink({ origin: { kind, namespace, name, file, line } }: { origin: Origin }) {
  const text = [kind, namespace ? `${namespace}/${name}` : name].filter(Boolean).join(' ');
  if (!file) return <span class="origin mono">{text}</span>;
  return (
    <a class="origin mono" href={linkTo('configuration', { file, line: String(line ?? 1) })} title={`${file}:${line ?? 1}`}>
      {text} <span class="dim">{`${fileName(file)}:${line ?? 1}`}</span>
    </a>
  );
}

/** @param text what is copied, or what makes it when the button is pressed */
export function CopyButton({ text, label = 'Copy' }: { text: string | (() => Promise<string>); label?: string }) {
  const copy = async (event: MouseEvent) => {
    const button = event.currentTarget as HTMLButtonElement;
    try {
      await navigator.clipboard.writeText(typeof text === 'string' ? text : await text());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not allowed by the browser';
    }
  };
  return (
    <button type="button" class="button" onClick={copy}>
      {label}
    </button>
  );
}

export function DownloadButton({ text, file, label }: { text: string; file: string; label: string }) {
  const save = () => {
    const address = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = address;
    link.download = file;
    link.click();
    URL.revokeObjectURL(address);
  };
  return (
    <button type="button" class="button" onClick={save}>
      {label}
    </button>
  );
}

const FEW = 4;

/** A list of names, of which the first stand there and the others behind a click. */
export function Names({ of }: { of: readonly string[] }) {
  if (of.length <= FEW + 1) return <span class="mono names">{of.join(', ')}</span>;
  return (
    <span class="names">
      <span class="mono">{of.slice(0, FEW).join(', ')}</span>{' '}
      <details class="inline">
        <summary>and {of.length - FEW} more</summary>
        <span class="mono">{of.slice(FEW).join(', ')}</span>
      </details>
    </span>
  );
}
