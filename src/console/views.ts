/** What is shown at one moment, in the shapes of the API. */

import { isAbsolute, relative, resolve, sep } from 'node:path';
import { originOf } from '../api/resource.ts';
import { splitDocuments } from '../api/yaml/documents.ts';
import type { Reach } from '../control/serving/mesh-flows.ts';
import { proxyName } from '../flows/hub.ts';
import { hiddenDocument } from '../inputs/edited.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Finding, Position } from '../lib/finding.ts';
import { findingJson, sortFindings } from '../lib/finding-form.ts';
import { originText } from '../lib/origin.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { table } from '../lib/table.ts';
import { productVersion } from '../lib/version.ts';
import {
  type FindingView,
  type Match,
  type Matches,
  type ProxyView,
  type ResourceView,
  type SourceView,
  type State,
  XDS_TYPES,
  type XdsType,
} from './model.ts';
import type { Moment, Shown, ShownProxy } from './subject.ts';
import type { Visitor } from './visitors.ts';

/** Of a list that is sent whole. */
export const MOST_FINDINGS = 2_000;
/** Names of proxies that do not tell of their calls. */
const MOST_SILENT = 20;
const MOST_TEXT = 2 * 1024 * 1024;

/** @param guest where people are told apart */
export function stateOf(shown: Shown, guest?: Pick<Visitor, 'name' | 'sight'>): State {
  const moment = shown.kind === 'dump' ? undefined : shown.now();
  const count = (level: Finding['level']) => moment?.findings.filter((finding) => finding.level === level).length ?? 0;
  return {
    version: productVersion(),
    kind: shown.kind,
    paths: shown.paths,
    ...withinOf(shown),
    snapshot: moment?.snapshot.version ?? 0,
    resources: moment ? writtenIn(moment).length : 0,
    errors: count('Error'),
    warnings: count('Warning'),
    infos: count('Info'),
    hasFlows: shown.kind !== 'dump' && shown.flows !== undefined,
    isLearning: shown.kind !== 'dump' && shown.learned !== undefined,
    canEdit: shown.kind !== 'dump' && shown.edited !== undefined,
    outboundPolicy: moment?.config.outboundTrafficPolicy.mode ?? '',
    ...(shown.kind !== 'dump' && shown.reach && { reach: reachView(shown.reach()) }),
    ...(guest && { person: guest.name }),
    ...(guest?.sight.namespaces && { namespaces: guest.sight.namespaces }),
  };
}

/** For `git:REV:PATH`, which is read where this process was started. */
function withinOf({ paths }: Shown): Pick<State, 'within'> {
  const [path, ...more] = paths;
  if (path === undefined || more.length > 0 || path.startsWith('git:')) return {};
  const within = relative(process.cwd(), resolve(path)).replaceAll(sep, '/');
  return within === '' || within.startsWith('../') || within === '..' || isAbsolute(within) ? {} : { within };
}

function reachView({ proxies, heard, unheard }: Reach): NonNullable<State['reach']> {
  const silent = proxies.filter(({ tells }) => !tells).map(({ proxy }) => proxy);
  return { connected: proxies.length, telling: proxies.length - silent.length, silent: silent.slice(0, MOST_SILENT), heard, unheard };
}

export function findingsOf({ findings }: Moment): FindingView[] {
  return sortFindings(findings).slice(0, MOST_FINDINGS).map(findingView);
}

function findingView(finding: Finding): FindingView {
  const { reference: _, ...rest } = findingJson(finding);
  const { position } = finding;
  return { ...rest, ...(position && { place: placeOf(position), column: position.column }) };
}

function placeOf({ file, line }: Position) {
  return { file, line };
}

/** Without those that follow from others. */
function writtenIn({ snapshot }: Moment) {
  return snapshot.all().filter(({ derivedFrom }) => !derivedFrom);
}

export function resourcesOf(moment: Moment): ResourceView[] {
  const about = new Map<string, number>();
  for (const { origin } of moment.findings) {
    const name = originText(origin);
    about.set(name, (about.get(name) ?? 0) + 1);
  }
  return writtenIn(moment).map((resource) => {
    const { kind, apiVersion, metadata, valid, source } = resource;
    const findings = about.get(originText(originOf(resource))) ?? 0;
    return { kind, namespace: metadata.namespace, name: metadata.name, apiVersion, valid, place: placeOf(source.position()), findings };
  });
}

export function proxiesOf({ proxies }: Moment): ProxyView[] {
  return proxies.map(({ identity, version, refusals, resources }) => ({
    name: proxyName(identity),
    role: identity.type,
    version,
    addresses: identity.addresses,
    counts: {
      listeners: resources.listeners.length,
      routes: resources.routes.length,
      clusters: resources.clusters.length,
      endpoints: resources.endpoints.length,
      secrets: resources.secrets.length,
    },
    refusals,
  }));
}

/**
 * The text that resources were read from, as it was read then; of a file that broke as a whole as it is now. Nothing but the files of what is shown can be
 * asked for, and Secrets are blotted out. Throws `no-such-file`.
 */
export function sourceOf({ snapshot, findings }: Moment, file: string): SourceView {
  const read = snapshot.all().filter(({ source }) => source.file === file);
  const parts = read.map(({ source }) => source.parts?.());
  const text = parts[0]?.text ?? brokenText(findings, file);
  if (text === undefined) throw new SallyportError('no-such-file', 'no resource that is shown was read from such a file');
  const secrets = new Set(parts.flatMap((part, i) => (part && read[i]!.kind === 'Secret' ? [part.start] : [])));
  return { file, text: withoutSecrets(text, secrets).slice(0, MOST_TEXT), cut: text.length > MOST_TEXT };
}

function brokenText(findings: readonly Finding[], file: string): string | undefined {
  if (!findings.some(({ position }) => position?.file === file && position.line > 0)) return undefined;
  try {
    return readRegularText(file);
  } catch {
    return undefined;
  }
}

const KIND = /\bkind\b["']?\s*:/g;
const PLAIN_KIND = /\bkind\b["']?[ \t]*:[ \t]*(["']?)([A-Za-z]+)\1[ \t]*(?:[,}#\r\n]|$)/g;
const ESCAPED_KEY = /"[^"\\\n]*\\[^"\n]*"\s*:/;
/** After a question mark, or an alias. */
const UNUSUAL_KEY = /(?:^|[{,[]|-[ \t])[ \t]*\?[ \t\r\n]|(?:^|[\s{,[])\*[^\s,[\]{}"']+[ \t]+:/m;

/**
 * Whether a document has a Secret, or something that may be one, whether or not it can be parsed: every `kind` must say plainly what it is, without tags,
 * anchors, escapes and line breaks.
 */
export function mayBeSecret(document: string): boolean {
  const plain = [...document.matchAll(PLAIN_KIND)].map(([, , kind]) => kind);
  return (
    plain.includes('Secret') ||
    plain.length < [...document.matchAll(KIND)].length ||
    [ESCAPED_KEY, UNUSUAL_KEY].some((key) => key.test(document))
  );
}

/** Documents that are Secrets, or may be, become as many empty lines. @param secrets where Secrets begin that were read */
function withoutSecrets(text: string, secrets: ReadonlySet<number>): string {
  let shown = '';
  let end = 0;
  for (const [i, { text: document, start }] of splitDocuments(text).entries()) {
    if (!secrets.has(start) && !mayBeSecret(document)) continue;
    const lines = document.replace(/[^\n]+/g, '');
    const [before, after] = lines.startsWith('\n') ? ['\n', lines.slice(1)] : ['', lines];
    shown += `${text.slice(end, start)}${before}${hiddenDocument(i)}${after}`;
    end = start + document.length;
  }
  return shown + text.slice(end);
}

const SECTIONS = table<RegExp>({
  listeners: /ListenersConfigDump$/,
  routes: /RoutesConfigDump$/,
  clusters: /ClustersConfigDump$/,
  endpoints: /EndpointsConfigDump$/,
  secrets: /SecretsConfigDump$/,
});

/** What a proxy runs, as a section of its config dump; keys are blotted out. Throws `no-such-proxy` and `usage`. */
export async function xdsOf({ proxies }: Moment, name: string, type: string): Promise<SourceView> {
  const proxy = proxies.find(({ identity }) => proxyName(identity) === name);
  if (!proxy) throw new SallyportError('no-such-proxy', `there is no proxy ${name}`);
  const known = XDS_TYPES.find((one) => one === type);
  if (!known) throw new SallyportError('usage', `type is one of ${XDS_TYPES.join(', ')}`);
  const text = sectionText(await dumpOf(proxy), known);
  return { file: `${name} ${type}`, text: text.slice(0, MOST_TEXT), cut: text.length > MOST_TEXT };
}

/** Of a search: matches, and characters of one. */
const MOST_MATCHES = 500;
const LONGEST_MATCH = 300;

/** The lines of what proxies run that have a text in them, whatever its case. Throws `usage` for a text of fewer than two characters. */
export async function searchedXds({ proxies }: Moment, text: string): Promise<Matches> {
  if (text.trim().length < 2) throw new SallyportError('usage', 'search for two characters at least');
  const wanted = text.toLowerCase();
  const matches: Match[] = [];
  let left = 0;
  for (const proxy of proxies) {
    const configs = await dumpOf(proxy);
    for (const type of XDS_TYPES) {
      for (const [i, line] of sectionText(configs, type).split('\n').entries()) {
        if (!line.toLowerCase().includes(wanted)) continue;
        if (matches.length >= MOST_MATCHES) left++;
        else matches.push({ proxy: proxyName(proxy.identity), type, line: i + 1, text: line.trim().slice(0, LONGEST_MATCH) });
      }
    }
  }
  return { matches, left };
}

function sectionText(configs: readonly Record<string, unknown>[], type: XdsType): string {
  const section = SECTIONS[type]!;
  return JSON.stringify(
    configs.filter((config) => section.test(String(config['@type'] ?? ''))),
    undefined,
    2,
  );
}

async function dumpOf({ resources }: ShownProxy): Promise<readonly Record<string, unknown>[]> {
  const { configDump } = await import('../admin/config-dump.ts');
  const accepted = { resources, version: () => ({ version: '', at: 0 }), rejected: [] };
  return configDump({ resources: () => accepted, bootstrap: undefined, startTime: 0 }, true).configs as Record<string, unknown>[];
}
