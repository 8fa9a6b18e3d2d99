/** The console's API: what can be asked, with the shapes of what is answered. Everything is read; nothing changes but for `/mend/write`, and that only with --edit. */
import type { ServerResponse } from 'node:http';
import { flowFilter, PARAMETERS } from '../flows/filter.ts';
import { SallyportError } from '../lib/errors.ts';
import { originText } from '../lib/origin.ts';
import { certificatesOf } from './certificates.ts';
import type { Events } from './events.ts';
import { type FindingKey, mendedFile, writeMend } from './mends.ts';
import * as model from './model.ts';
import type { Asker } from './questions/asker.ts';
import type { Question, Side } from './questions/question.ts';
import { described, listOf, record, type Shape, text } from './schema.ts';
import { type MeshShown, momentOf, type Shown } from './subject.ts';
import { findingsOf, proxiesOf, resourcesOf, searchedXds, sourceOf, stateOf, xdsOf } from './views.ts';
import type { Visitor } from './visitors.ts';

export const API = '/api/v1';

export interface Context {
  readonly shown: Shown;
  readonly asker: Pick<Asker, 'ask'>;
  readonly events: Events;
  /** Who asks, where people are told apart: all of this is cut to what they may see. */
  readonly guest: Visitor | undefined;
  /** What is shown is not what it was. */
  readonly changed: () => void;
}

export interface Asking {
  /** Where the page is from that asks; empty where no browser says so. */
  readonly origin: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** Nobody waits any more. */
  readonly signal: AbortSignal;
}

interface Parameter {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
  readonly repeated?: boolean;
}

interface Described {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: Shape<unknown>;
  /** A part of the answer would be false, or of what others may see: it is for those who may see the whole mesh. */
  readonly whole?: true;
}

/** An answer in one piece, as JSON. */
export interface PlainRoute extends Described {
  readonly kind: 'plain';
  readonly answer: Shape<unknown>;
  readonly handle: (context: Context, asking: Asking) => unknown;
}

/** An answer that takes long: lines of JSON, of which the last is the answer or a problem. */
export interface LongRoute extends Described {
  readonly kind: 'long';
  readonly answer: Shape<unknown>;
  readonly question: (context: Context, asking: Asking) => Question;
}

/** Server-sent events. */
export interface EventsRoute extends Described {
  readonly kind: 'events';
}

export type Route = PlainRoute | LongRoute | EventsRoute;

function plain<T>(route: Omit<PlainRoute, 'kind' | 'method' | 'answer' | 'handle'> & PlainOf<T>): Route {
  return { kind: 'plain', method: 'GET', ...route };
}

interface PlainOf<T> {
  readonly answer: Shape<T>;
  readonly handle: (context: Context, asking: Asking) => T | Promise<T>;
}

const side = record(
  {},
  {
    spec: text('A path of what is shown, or git:REV[:PATH].'),
    file: text('A file that is edited.'),
    text: text('What stands in it then.'),
    applied: text('Objects as YAML, applied to the cluster.'),
  },
);

export const ROUTES: readonly Route[] = [
  plain({ path: '/state', summary: 'What the console shows.', answer: model.state, handle: ({ shown, guest }) => stateOf(shown, guest) }),
  plain({
    path: '/workloads',
    summary: 'The workloads whose calls can be explained, as namespace/name.',
    answer: listOf(text('namespace/name.')),
    handle: ({ asker }, { signal }) => asker.ask({ kind: 'workloads' }, { signal }),
  }),
  plain({
    path: '/findings',
    summary: 'What is wrong with the configuration, and what proxies refused; the gravest first.',
    answer: listOf(model.finding),
    handle: ({ shown }) => (shown.kind === 'dump' ? [] : findingsOf(shown.now())),
  }),
  plain({
    path: '/mend',
    summary: 'The change that mends a finding by itself, as a diff, and what becomes of the findings with it.',
    parameters: [
      { name: 'code', description: 'Of the finding.', required: true },
      { name: 'file', description: 'Where it is.', required: true },
      { name: 'line', description: 'Likewise.', required: true },
      { name: 'column', description: 'Likewise.', required: true },
    ],
    answer: model.mend,
    handle: (context, { query, signal }) => mendOf(context, keyIn(Object.fromEntries(query)), signal),
  }),
  {
    ...plain({
      path: '/mend/write',
      summary: 'Writes the change of GET /mend to its file: only with --edit, and only if the file is what the change was made of.',
      body: record({
        code: text('Of the finding.'),
        file: text('Where it is.'),
        line: text('Likewise.'),
        column: text('Likewise.'),
        digest: text('As GET /mend has it.'),
      }),
      answer: record({ file: text('That was written.') }),
      handle: ({ shown, changed }, { body, origin }) => written(shown, fieldsOf(body), origin, changed),
    }),
    method: 'POST',
  },
  {
    kind: 'events',
    method: 'GET',
    path: '/events',
    summary:
      'Server-sent events: state and findings, at once and whenever they change; flows (a list of Flow) with an id; dropped (how many flows are missing, and whether more are of which that is not known); ended. With Last-Event-ID, or after, what came since.',
    parameters: [
      { name: 'after', description: 'As Last-Event-ID: the id of the last event that was seen.' },
      ...PARAMETERS.map((name) => ({ name, description: `As of GET /flows: only calls of this ${name}.`, repeated: true })),
    ],
  },
  plain({
    path: '/resources',
    summary: 'The resources, as they were read.',
    answer: listOf(model.resource),
    handle: ({ shown }) => (shown.kind === 'dump' ? [] : resourcesOf(shown.now())),
  }),
  plain({
    path: '/source',
    summary: 'The text of a file that resources were read from; Secrets are left out.',
    parameters: [{ name: 'file', description: 'As resources and findings name it.', required: true }],
    answer: model.source,
    handle: ({ shown }, { query }) => sourceOf(momentOf(shown), needed(query, 'file')),
  }),
  plain({
    path: '/proxies',
    summary: 'The proxies and what they run.',
    answer: listOf(model.proxy),
    handle: ({ shown }) => (shown.kind === 'dump' ? [] : proxiesOf(shown.now())),
  }),
  plain({
    path: '/xds',
    whole: true,
    summary: 'What a proxy runs, as a section of its config dump; keys are left out.',
    parameters: [
      { name: 'proxy', description: 'namespace/name.', required: true },
      { name: 'type', description: 'listeners, routes, clusters, endpoints or secrets.', required: true },
    ],
    answer: model.source,
    handle: ({ shown }, { query }) => xdsOf(momentOf(shown), needed(query, 'proxy'), needed(query, 'type')),
  }),
  plain({
    path: '/search',
    whole: true,
    summary: 'The lines of what proxies run that have a text in them; keys are left out.',
    parameters: [{ name: 'text', description: 'Two characters at least, whatever their case.', required: true }],
    answer: model.matches,
    handle: ({ shown }, { query }) => searchedXds(momentOf(shown), needed(query, 'text')),
  }),
  plain({
    path: '/learned',
    summary: 'What up --learn has recorded, and the resources that would allow it.',
    parameters: [{ name: 'without', description: 'A host that is left out of the resources.', repeated: true }],
    answer: model.learned,
    handle: ({ shown }, { query }) => learnedIn(shown, new Set(query.getAll('without'))),
  }),
  plain({
    path: '/certificates',
    summary: 'The certificates of proxies and Secrets, with when they end; the first to end comes first.',
    answer: listOf(model.certificate),
    handle: ({ shown }) => (shown.kind === 'dump' ? [] : certificatesOf(shown.now(), Date.now())),
  }),
  plain({
    path: '/explain',
    summary: 'The way of a call, hop by hop; for a refused one, what would allow it.',
    parameters: [
      { name: 'url', description: 'http://host/path, https://host/path, tls://host:port or tcp://address:port.', required: true },
      { name: 'from', description: 'namespace/name of the workload that calls.' },
      { name: 'method', description: 'Of HTTP; GET if it is not said.' },
      { name: 'header', description: 'name: value.', repeated: true },
      { name: 'to', description: 'The address that is connected to; without it, what DNS says.' },
    ],
    answer: model.explanation,
    handle: ({ asker }, { query, signal }) =>
      asker.ask(
        {
          kind: 'explain',
          url: needed(query, 'url'),
          from: query.get('from') ?? undefined,
          method: query.get('method') ?? 'GET',
          headers: query.getAll('header'),
          to: query.get('to') ?? undefined,
          now: Date.now(),
        },
        { signal },
      ),
  }),
  plain({
    path: '/outwards',
    summary: 'The declared ways out of the mesh, and suspected ways round.',
    answer: model.outwards,
    handle: ({ asker }, { signal }) => asker.ask({ kind: 'outwards' }, { signal }),
  }),
  {
    kind: 'long',
    method: 'GET',
    path: '/verify',
    whole: true,
    summary: 'Proves, of all calls, that none leaves but through an egress gateway, and that none leaves past its sidecar.',
    answer: model.verification,
    question: () => ({ kind: 'verify' }),
  },
  {
    kind: 'long',
    method: 'POST',
    path: '/diff',
    summary:
      'Which calls end differently under two configurations. A side without fields is what is shown; in a cluster the other is what it would be with some objects applied.',
    body: record({ before: side, after: side }),
    answer: model.difference,
    question: ({ shown }, { body }) => diffQuestion(shown, body),
  },
];

/** The parameter. Throws `usage` where it is missing. */
function needed(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === '') throw new SallyportError('usage', `say ${name}, as a parameter of the query`);
  return value;
}

/** Throws `usage`. */
function keyIn(fields: Readonly<Record<string, unknown>>): FindingKey {
  const { code, file, line, column } = fields;
  if (typeof code !== 'string' || typeof file !== 'string' || !/^\d{1,9}$/.test(String(line)) || !/^\d{1,9}$/.test(String(column)))
    throw new SallyportError('usage', 'say code, file, line and column of the finding');
  return { code, file, line: Number(line), column: Number(column) };
}

/** Throws `no-resources`. */
function meshOf(shown: Shown): MeshShown {
  if (shown.kind === 'dump') throw new SallyportError('no-resources', 'a config dump holds no resources: open the files instead');
  return shown;
}

/** Throws `not-learning`. */
function learnedIn(shown: Shown, without: ReadonlySet<string>): model.Learned {
  const { learned } = meshOf(shown);
  if (!learned) throw new SallyportError('not-learning', 'nothing is recorded here: sallyport up --learn FILE does');
  const { file, declared, observed, text: yaml } = learned(without);
  const rows = observed.map(({ host, port, protocol, count, lastSeen }) => ({ host, port, protocol, count, last: lastSeen }));
  return { file, declared, observed: rows, text: yaml };
}

async function mendOf({ shown, asker }: Context, key: FindingKey, signal: AbortSignal): Promise<model.Mend> {
  const { file, before, after, finding, patch, digest } = mendedFile(meshOf(shown), key);
  const question = {
    kind: 'mend',
    before: { file, text: before },
    after: { file, text: after },
    code: finding.code,
    origin: originText(finding.origin),
    now: Date.now(),
  } as const;
  return { file, patch, digest, ...(await asker.ask(question, { signal })) };
}

/** Only a page of the console writes: whoever else has the cookie may read. */
async function written(
  shown: Shown,
  fields: Readonly<Record<string, unknown>>,
  origin: string,
  changed: () => void,
): Promise<{ readonly file: string }> {
  const mesh = meshOf(shown);
  if (!mesh.edited) throw new SallyportError('read-only', 'nothing is written: start it with --edit to have changes written to the files');
  if (origin === '') throw new SallyportError('read-only', 'only the pages of the console write to files');
  const { digest } = fields;
  if (typeof digest !== 'string') throw new SallyportError('usage', 'say the digest of what the change was made of');
  const { file } = writeMend(mesh, keyIn(fields), digest);
  await mesh.edited();
  changed();
  return { file };
}

function diffQuestion(shown: Shown, body: unknown): Question {
  const { before, after } = fieldsOf(body);
  return { kind: 'diff', before: sideOf(shown, before), after: sideOf(shown, after) };
}

/** A browser chooses among what the console was started with, and the revisions of the repository; no other path of the machine. */
function sideOf(shown: Shown, value: unknown): Side {
  const { spec, file, text: edited, applied } = fieldsOf(value);
  if (shown.kind === 'cluster') return sideOfCluster(Object.keys(fieldsOf(value)), applied);
  if (typeof file === 'string' && typeof edited === 'string') {
    if (shown.kind === 'dump') throw new SallyportError('no-resources', 'a config dump holds no file that can be edited');
    return { kind: 'edited', edit: { file, text: edited } };
  }
  if (spec === undefined || spec === '') return { kind: 'shown' };
  if (typeof spec === 'string' && (spec.startsWith('git:') || shown.paths.includes(spec))) return { kind: 'spec', spec };
  throw new SallyportError('usage', `a side is one of the paths that are shown (${shown.paths.join(', ')}), or git:REV[:PATH]`);
}

/** The controller's own files and revisions are nobody's to name. */
function sideOfCluster(fields: readonly string[], applied: unknown): Side {
  if (fields.length === 0) return { kind: 'shown' };
  if (fields.length === 1 && typeof applied === 'string') return { kind: 'applied', text: applied };
  throw new SallyportError('usage', 'a side is the cluster, {}, or what it would be with objects applied, {"applied": YAML}');
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SallyportError('usage', 'the body is {"before": {}, "after": {}}');
  return value as Record<string, unknown>;
}

/** Opens the stream. Throws `usage` for a filter that there is not. */
export function openEvents(
  { events, guest }: Context,
  { query }: Asking,
  request: Parameters<Events['open']>[0],
  response: ServerResponse,
): void {
  const filters = new URLSearchParams([...query].filter(([name]) => name !== 'after'));
  const last = request.headers['last-event-id'];
  events.open(
    request,
    response,
    filters.size > 0 ? flowFilter(filters) : undefined,
    typeof last === 'string' ? last : (query.get('after') ?? undefined),
    guest,
  );
}

/** What stands in a line of a long answer, besides the answer. */
export const LINES = {
  progress: model.progress,
  problem: described<{ kind: 'problem'; problem: model.Problem }>({
    type: 'object',
    properties: { kind: { const: 'problem' }, problem: model.problem.json },
    required: ['kind', 'problem'],
    additionalProperties: false,
  }),
};
