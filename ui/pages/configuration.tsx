/** The resources where they are written, and the proxies with what they run. */
import { useMemo } from 'preact/hooks';
import type { ProxyView, ResourceView, SourceView } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { hasWords } from '../lib/filter.ts';
import { counted } from '../lib/format.ts';
import { fileName } from '../lib/paths.ts';
import { linkTo, parameter, setParameter } from '../lib/router.ts';
import { state } from '../lib/store.ts';
import { Asking, CopyButton, Details, Empty, Failure, Name, Page, Verdict } from '../parts/basics.tsx';
import { Certificates } from '../parts/certificates.tsx';
import { FilterBox } from '../parts/filter-box.tsx';
import { FoundInXds } from '../parts/found-in-xds.tsx';
import { SourceText, TextView } from '../parts/source-text.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';

const TYPES = ['listeners', 'routes', 'clusters', 'endpoints', 'secrets'] as const;

export function ConfigurationPage() {
  const view = parameter('view');
  const tabs = (
    <nav class="tabs" aria-label="Views">
      <a href={linkTo('configuration')} aria-current={view === '' ? 'page' : undefined}>
        Resources
      </a>
      <a href={linkTo('configuration', { view: 'proxies' })} aria-current={view === 'proxies' ? 'page' : undefined}>
        Proxies
      </a>
      <a href={linkTo('configuration', { view: 'certificates' })} aria-current={view === 'certificates' ? 'page' : undefined}>
        Certificates
      </a>
    </nav>
  );
  return (
    <Page title="Configuration" about={state.value && counted(state.value.resources, 'resource')} actions={tabs}>
      {view === 'proxies' ? <Proxies /> : view === 'certificates' ? <Certificates /> : <Resources />}
    </Page>
  );
}

const COLUMNS = [
  { title: 'Kind', class: 'c-kind' },
  { title: 'Name', class: 'c-host' },
  { title: 'Findings', class: 'c-verdict' },
  { title: 'Where', class: 'c-host' },
] as const;

function Resources() {
  const text = parameter('filter');
  const file = parameter('file');
  const line = Number(parameter('line')) || 0;
  const asked = useAsked<readonly ResourceView[]>('/resources', {}, state.value);
  const all = asked.kind === 'answered' ? asked.answer : [];
  const shown = useMemo(() => all.filter((resource) => contains(resource, text)), [all, text]);
  if (asked.kind === 'asking') return <Asking />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  const close = () => {
    setParameter('file', '');
    setParameter('line', '');
  };
  const opened = all.find(({ place }) => place.file === file && place.line === line);
  return (
    <>
      <FilterBox value={text} change={(value) => setParameter('filter', value)} label="Filter the resources" hint="kind, name or file" />
      {shown.length === 0 && file === '' ? (
        <Empty title={all.length > 0 ? 'No resource fits the filter.' : 'There are no resources.'} />
      ) : (
        <div class={file ? 'split split-open' : 'split'}>
          <VirtualList
            items={shown}
            keyOf={keyOf}
            height={30}
            label="Resources"
            columns={COLUMNS}
            row={rowOf}
            open={(resource) => {
              if (!resource) return close();
              setParameter('file', resource.place.file);
              setParameter('line', String(resource.place.line));
            }}
            opened={opened && keyOf(opened)}
          />
          {file && (
            <Details
              label="The file"
              title={
                <span class="mono">
                  {opened ? `${opened.kind} ${opened.namespace ? `${opened.namespace}/` : ''}${opened.name}` : fileName(file)}
                </span>
              }
              close={close}
            >
              {state.value?.kind === 'cluster' ? <InCluster resource={opened} /> : <SourceText file={file} line={line} whole />}
            </Details>
          )}
        </div>
      )}
    </>
  );
}

/** An object of a cluster stands in no file. */
function InCluster({ resource }: { resource: ResourceView | undefined }) {
  if (!resource) return <Empty title="There is no such object, or it is not for you to see." />;
  const { kind, apiVersion, namespace, name } = resource;
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  const command = `kubectl get ${kind.toLowerCase()}${group}${namespace ? ` -n ${namespace}` : ''} ${name} -o yaml`;
  return (
    <>
      <p>
        It is kept in the cluster: <code>{command}</code>
      </p>
      <div class="actions">
        <CopyButton text={command} label="Copy command" />
        <a href={linkTo('findings', { filter: `${kind} ${namespace}/${name}` })}>Findings about it</a>
      </div>
    </>
  );
}

function rowOf({ kind, namespace, name, valid, findings, place }: ResourceView) {
  return [
    <Name mono={false}>{kind}</Name>,
    <Name>{namespace ? `${namespace}/${name}` : name}</Name>,
    valid ? (
      findings > 0 ? (
        <span class="verdict level-warning">{findings}</span>
      ) : (
        <span class="dim">none</span>
      )
    ) : (
      <span class="verdict level-error">not valid</span>
    ),
    <Name>{`${fileName(place.file)}${place.line > 0 ? `:${place.line}` : ''}`}</Name>,
  ];
}

function keyOf({ kind, namespace, name, place }: ResourceView): string {
  return `${kind} ${namespace}/${name} ${place.file}:${place.line}`;
}

function contains({ kind, namespace, name, place }: ResourceView, text: string): boolean {
  return hasWords(`${kind} ${namespace}/${name} ${place.file}`, text);
}

function Proxies() {
  const asked = useAsked<readonly ProxyView[]>('/proxies', {}, state.value);
  if (asked.kind === 'asking') return <Asking />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  if (asked.answer.length === 0)
    return state.value?.kind === 'cluster' ? (
      <Empty title="No proxy that you may see is connected to this controller.">
        Where there are several controllers, each knows its own: <code>istioctl proxy-status</code> asks all.
      </Empty>
    ) : (
      <Empty title="No proxy runs here.">
        The console of <code>sallyport up</code> shows its proxies and what they run.
      </Empty>
    );
  const name = parameter('proxy');
  const text = parameter('filter');
  const proxy = asked.answer.find((one) => one.name === name);
  return (
    <>
      <FilterBox
        value={text}
        change={(value) => setParameter('filter', value)}
        label="Search what proxies run"
        hint="a host, a name, an address"
      />
      <div class={proxy ? 'split split-open' : 'split'}>
        {text.trim().length > 1 ? (
          <FoundInXds text={text} version={asked.answer} />
        ) : (
          <div class="stack">
            {state.value?.kind === 'cluster' && (
              <p class="note">
                Those that are connected to this controller, and what they are served: <code>sallyport proxy-status</code> says how far they
                have taken it over.
              </p>
            )}
            {asked.answer.map((one) => (
              <Proxy key={one.name} proxy={one} opened={one === proxy} />
            ))}
          </div>
        )}
        {proxy && <Runs proxy={proxy} />}
      </div>
    </>
  );
}

function Proxy({ proxy: { name, role, version, addresses, counts, refusals }, opened }: { proxy: ProxyView; opened: boolean }) {
  return (
    <section class={opened ? 'card card-open' : 'card'} aria-label={name}>
      <header class="statement">
        <span class={`verdict ${refusals.length > 0 ? 'verdict-refused' : 'verdict-allowed'}`}>
          {refusals.length > 0 ? 'refuses' : state.value?.kind === 'cluster' ? 'connected' : 'in sync'}
        </span>
        <h2 class="mono">{name}</h2>
      </header>
      <p class="dim">
        {role === 'router' ? 'Gateway' : 'Sidecar'} at <span class="mono">{addresses.join(', ') || 'no address'}</span>, version{' '}
        <span class="mono">{version}</span>
      </p>
      {refusals.map((line) => (
        <div key={line} class="failure">
          {line}
        </div>
      ))}
      <p class="actions">
        {TYPES.map((type) => (
          <a key={type} href={linkTo('configuration', { view: 'proxies', proxy: name, type })}>
            {counted(counts[type], type.slice(0, -1))}
          </a>
        ))}
      </p>
    </section>
  );
}

function Runs({ proxy }: { proxy: ProxyView }) {
  const type = parameter('type') || TYPES[0];
  const line = Number(parameter('line')) || 0;
  const asked = useAsked<SourceView>('/xds', { proxy: proxy.name, type }, proxy.version);
  return (
    <Details
      label={`The ${type} of ${proxy.name}`}
      title={
        <>
          <span class="mono">{proxy.name}</span> {type}
        </>
      }
      close={() => setParameter('proxy', '')}
    >
      {asked.kind === 'asking' && <Asking />}
      {asked.kind === 'failed' && <Failure message={asked.message} />}
      {asked.kind === 'answered' && asked.answer.cut && <p class="note">Only its beginning is here.</p>}
      {asked.kind === 'answered' && <TextView text={asked.answer.text} line={line} label={asked.answer.file} whole />}
      {proxy.refusals.length > 0 && <Verdict of="refused" />}
    </Details>
  );
}
