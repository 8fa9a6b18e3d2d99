/** What is around every page: where one is, where one may go, what is shown, and whether it still comes. */
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import type { State } from '../src/console/model.ts';
import { leave } from './lib/api.ts';
import { counted, countText } from './lib/format.ts';
import { linkTo, page } from './lib/router.ts';
import { connection, state, wrongCalls } from './lib/store.ts';
import { nextTheme, theme } from './lib/theme.ts';
import { ChangePage } from './pages/change.tsx';
import { ConfigurationPage } from './pages/configuration.tsx';
import { FindingsPage } from './pages/findings.tsx';
import { FlowsPage } from './pages/flows.tsx';
import { LearnPage } from './pages/learn.tsx';
import { ProofPage } from './pages/proof.tsx';
import { RefusedPage } from './pages/refused.tsx';
import { WayOutPage } from './pages/way-out.tsx';
import { Empty, Page } from './parts/basics.tsx';

interface PageInfo {
  readonly name: string;
  readonly title: string;
  readonly component: ComponentType;
  /** A number beside the title; empty for none. */
  readonly badge?: () => string;
  /** Whether the number is of what is not grave. */
  readonly mild?: () => boolean;
}

const PAGES: readonly PageInfo[] = [
  { name: 'way-out', title: 'Way out', component: WayOutPage },
  { name: 'flows', title: 'Flows', component: FlowsPage },
  { name: 'refused', title: 'Refused', component: RefusedPage, badge: () => some(wrongCalls.value.length) },
  {
    name: 'findings',
    title: 'Findings',
    component: FindingsPage,
    badge: () => some((state.value?.errors ?? 0) + (state.value?.warnings ?? 0)),
    mild: () => state.value?.errors === 0,
  },
  { name: 'proof', title: 'Proof', component: ProofPage },
  { name: 'change', title: 'Change', component: ChangePage },
  { name: 'configuration', title: 'Configuration', component: ConfigurationPage },
  { name: 'learn', title: 'Learn', component: LearnPage },
];

function some(count: number): string {
  return count > 0 ? countText(count) : '';
}

export function Shell() {
  const at = page.value === '' ? first().name : page.value;
  const shown = PAGES.find(({ name }) => name === at);
  useEffect(() => {
    document.title = `${shown?.title ?? 'Nothing'} – Sallyport`;
  }, [shown]);
  useEffect(() => {
    addEventListener('keydown', shortcut);
    return () => removeEventListener('keydown', shortcut);
  }, []);
  const Shown = shown?.component ?? Missing;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the page
      </button>
      <nav class="nav" aria-label="Pages">
        <p class="brand">Sallyport</p>
        <ul>
          {PAGES.map(({ name, title, badge, mild }, i) => (
            <li key={name}>
              <a href={linkTo(name)} aria-current={name === at ? 'page' : undefined} title={`Alt+${i + 1}`}>
                {title} {badge?.() && <span class={mild?.() ? 'badge badge-warning' : 'badge'}>{badge()}</span>}
              </a>
            </li>
          ))}
        </ul>
        <Footer />
      </nav>
      <div class="body">
        <ConnectionNote />
        <Shown key={at} />
      </div>
    </div>
  );
}

/** Where calls are made, they are what one looks at first. */
function first(): PageInfo {
  return PAGES.find(({ name }) => name === (state.value?.hasFlows === false ? 'findings' : 'flows'))!;
}

function Footer() {
  const shown = state.value;
  return (
    <div class="nav-foot">
      {shown && (
        <p class="dim" title={shown.paths.join('\n')}>
          {SHOWN[shown.kind](counted(shown.resources, 'resource'))}
          <br />
          {shown.outboundPolicy && <span class="mono">{shown.outboundPolicy}</span>}
        </p>
      )}
      {shown?.person !== undefined && <Person name={shown.person} namespaces={shown.namespaces} />}
      <button type="button" class="button quiet" onClick={nextTheme}>
        Theme: {theme.value}
      </button>
    </div>
  );
}

const SHOWN: Readonly<Record<State['kind'], (resources: string) => string>> = {
  up: (resources) => `In force: ${resources}`,
  cluster: (resources) => `In the cluster: ${resources}`,
  files: (resources) => resources,
  dump: () => 'Config dumps',
};

/** Who looks, and at how much of the cluster. */
function Person({ name, namespaces }: { name: string; namespaces: readonly string[] | undefined }) {
  return (
    <div class="person">
      <p class="name mono" title={name}>
        {name.replace(/^system:serviceaccount:([^:]+):/, '$1/')}
      </p>
      <p class="dim" title={namespaces?.join('\n')}>
        {namespaces ? `sees ${namespaces.length === 1 ? namespaces[0] : counted(namespaces.length, 'namespace')}` : 'sees all namespaces'}
      </p>
      <button type="button" class="button quiet" onClick={leave}>
        Leave
      </button>
    </div>
  );
}

const NOTES = {
  connecting: '',
  open: '',
  lost: 'The connection is lost. It is tried again; what is shown is what was known.',
  ended: 'Sallyport has ended. What is shown is what was known.',
  refused: 'Sallyport does not let this page in any more: open the newest address that its terminal shows.',
} as const;

function ConnectionNote() {
  if (connection.value === 'refused' && state.value?.kind === 'cluster')
    return (
      <p class="banner" role="status">
        The session has ended, or the cluster does not say any more what you may see. <a href="/">Enter again</a>
      </p>
    );
  const text = NOTES[connection.value];
  return text === '' ? null : (
    <p class="banner" role="status">
      {text}
    </p>
  );
}

function Missing() {
  return (
    <Page title="Nothing here">
      <Empty title="There is no such page." />
    </Page>
  );
}

/** `/` leads to the filter, Alt and a digit to a page. */
function shortcut(event: KeyboardEvent): void {
  const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select, [contenteditable]');
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const filter = document.querySelector<HTMLInputElement>('.filter-input');
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  }
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  const target = digit !== undefined && event.altKey ? PAGES[Number(digit) - 1] : undefined;
  if (target) {
    event.preventDefault();
    location.hash = linkTo(target.name);
  }
}
