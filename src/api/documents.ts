import { type Finding, inPlaceOf } from '../lib/finding.ts';
import { fileOrigin, type Origin } from '../lib/origin.ts';
import { closest, editDistance } from '../lib/spelling.ts';
import { DECODING_CODES, type DecodingCode } from './codes.ts';
import { decode, formatPath, type IsPlain, type Issue, isMapping } from './decode.ts';
import { KINDS, type Kind, type KindInfo, type ResourceOf } from './index.ts';
import { type ObjectMeta, objectMeta } from './metadata.ts';
import { originOf, type PathStep, type Resource, type Source } from './resource.ts';
import { DocumentSource, NestedSource } from './source.ts';
import { UNREAD_KINDS } from './unserved.ts';
import { LineIndex, splitDocuments } from './yaml/documents.ts';
import { nothingSeen } from './yaml/fast.ts';
import { parseYaml } from './yaml/parse.ts';

export interface DecodeOptions {
  /** Of objects that name none. */
  readonly namespace?: string;
  /** What the file said before, by these options: documents that are the same to the letter are not decoded again. */
  readonly before?: Decoded;
}

export interface Decoded {
  /** In the order of the text; `order` counts from 0. Invalid ones are among them if they have a name. */
  readonly resources: readonly ResourceOf<Kind>[];
  readonly findings: readonly Finding[];
  /** There is no document, or none that says anything. */
  readonly empty?: boolean;
  /** The documents that are one object without a finding, by their text. */
  readonly sound?: ReadonlyMap<string, SoundDocument>;
}

interface SoundDocument {
  readonly resource: ResourceOf<Kind>;
  /** As `DocumentSource` has it. */
  readonly simple: boolean;
}

/** Decodes every document of a file, YAML or JSON, and the items of Lists. */
export function decodeDocuments(text: string, file: string, options: DecodeOptions = {}): Decoded {
  const lines = new LineIndex(text);
  const resources: ResourceOf<Kind>[] = [];
  const findings: Finding[] = [];
  const collector: Collector = { resources, findings, namespace: options.namespace ?? 'default' };
  const sound = new Map<string, SoundDocument>();
  const seen = nothingSeen();
  let empty = true;
  for (const chunk of splitDocuments(text)) {
    const known = options.before?.sound?.get(chunk.text);
    if (known) {
      const source = new DocumentSource(file, chunk, lines, known.simple);
      const resource = { ...known.resource, order: resources.length, source };
      resources.push(resource);
      sound.set(chunk.text, { resource, simple: known.simple });
      empty = false;
      continue;
    }
    const parsed = parseYaml(chunk.text, seen);
    const simple = 'simple' in parsed && parsed.simple;
    const source = new DocumentSource(file, chunk, lines, simple);
    const [found, told] = [resources.length, findings.length];
    empty &&= !('problem' in parsed) && (parsed.value === null || parsed.value === undefined);
    if ('problem' in parsed) {
      findings.push({ ...codeOf('SP0001'), message: parsed.problem, origin: fileOrigin(file), position: source.at(parsed.offset) });
    } else if (parsed.value !== null && parsed.value !== undefined) {
      decodeObject(parsed.value, source, collector);
      const [resource, ...others] = resources.slice(found);
      // The only item of a List is at a place of its own in the document.
      if (resource?.source === source && others.length === 0 && findings.length === told) sound.set(chunk.text, { resource, simple });
    }
  }
  return { resources, findings, empty, ...(sound.size > 0 && { sound }) };
}

/** Decodes one object that was parsed elsewhere. */
export function decodeParsed(value: unknown, source: Source, options: DecodeOptions = {}): Decoded {
  const collector: Collector = { resources: [], findings: [], namespace: options.namespace ?? 'default' };
  decodeObject(value, source, collector);
  return collector;
}

interface Collector {
  readonly resources: ResourceOf<Kind>[];
  readonly findings: Finding[];
  readonly namespace: string;
}

function codeOf(code: DecodingCode): Pick<Finding, 'code' | 'level'> {
  return { code, level: DECODING_CODES[code].level };
}

/** Decodes one object that was parsed already, or the items of a List. */
function decodeObject(value: unknown, source: Source, collector: Collector): void {
  const { findings } = collector;
  const notAnObject = (message: string) =>
    findings.push({ ...codeOf('SP0005'), message, origin: fileOrigin(source.file), position: source.position() });
  if (!isMapping(value)) {
    notAnObject('the document is no object: it needs apiVersion, kind and metadata');
    return;
  }
  const { apiVersion, kind } = value;
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    const missing = [typeof apiVersion === 'string' ? '' : 'apiVersion', typeof kind === 'string' ? '' : 'kind'].filter(Boolean);
    const hint = CHART_FILE.test(source.file)
      ? '. It is a file of a Helm chart: render the chart first, e.g. helm template CHART | sallyport analyze -'
      : '';
    notAnObject(`the document has no ${missing.join(' and no ')}, so it is no object of the API${hint}`);
    return;
  }
  if (kind.endsWith('List') && Array.isArray(value.items)) {
    decodeList(value.items, kind, apiVersion, source, collector);
    return;
  }

  const [group, version] = splitVersion(apiVersion);
  const name = kindOf(kind, group);
  const info: KindInfo | undefined = name && KINDS[name];
  if (!name || !info) {
    const isNone = isNoKind(kind, group);
    findings.push({
      ...codeOf(isNone ? 'SP0015' : 'SP0006'),
      message: unknownKind(kind, group, apiVersion, isNone),
      origin: originOfUnknown(value, kind),
      position: source.position(),
    });
    return;
  }
  const issues: Issue[] = [];
  const report = (issue: Issue) => void issues.push(issue);
  const deprecated: PathStep[][] = [];
  const isPlain: IsPlain = (path) => source.isPlain?.(path) ?? false;
  const object = decodeTop(info, value, report, (path) => void deprecated.push([...path]), isPlain);
  const metadata = object.metadata;
  if (!metadata?.name) {
    for (const issue of issues) findings.push(toFinding(issue, { kind: name, namespace: '', name: '' }, source));
    return;
  }
  const resource = {
    apiVersion,
    kind: name,
    metadata: {
      name: metadata.name,
      namespace: info.namespaced ? metadata.namespace || collector.namespace : '',
      labels: metadata.labels,
      annotations: metadata.annotations,
      ...(metadata.creationTimestamp && { creationTimestamp: metadata.creationTimestamp }),
      ...(metadata.generation !== undefined && { generation: metadata.generation }),
    },
    spec: object.spec,
    ...(object.status !== undefined && { status: object.status }),
    ...(deprecated.length > 0 && { deprecated }),
    order: collector.resources.length,
    valid: true,
    source,
  } as Resource;
  if (!info.versions.includes(version)) {
    const versions = info.versions.map((name) => (group ? `${group}/${name}` : name));
    const message = `${kind} has no version ${version}; its versions are ${versions.join(', ')}`;
    report({ path: ['apiVersion'], at: 'value', ...codeOf('SP0007'), message, mend: inPlaceOf(apiVersion, versions[0]) });
  }
  // Rules read a spec whose fields have their types, so they run unless that failed; a field that does not exist does no harm to the others.
  if (issues.every(({ code }) => code === 'SP0008')) {
    info.rules?.(resource, (rule) => {
      report({ at: 'value', code: rule.level === 'Warning' ? 'IST0133' : 'IST0106', level: 'Error', ...rule });
    });
  }
  const origin = originOf(resource);
  for (const issue of issues) findings.push(toFinding(issue, origin, source));
  const valid = !issues.some(({ level }) => level === 'Error');
  collector.resources.push((valid ? resource : { ...resource, valid }) as ResourceOf<Kind>);
}

function decodeList(items: readonly unknown[], kind: string, apiVersion: string, source: Source, collector: Collector): void {
  items.forEach((item, index) => {
    // The items of a typed list need not repeat what the list's kind says.
    const typed =
      kind !== 'List' && isMapping(item) && item.kind === undefined ? { apiVersion, kind: kind.slice(0, -'List'.length), ...item } : item;
    decodeObject(typed, new NestedSource(source, ['items', index]), collector);
  });
}

interface Top {
  readonly metadata: ObjectMeta | undefined;
  readonly spec: unknown;
  readonly status: unknown;
}

/** Decodes the top level, where a kind either has a `spec` or fields of its own. */
function decodeTop(
  info: KindInfo,
  value: Record<string, unknown>,
  report: (issue: Issue) => void,
  deprecated: (path: readonly PathStep[]) => void,
  isPlain: IsPlain,
): Top {
  const metadata = isMapping(value.metadata)
    ? (decode(objectMeta, value.metadata, ['metadata'], report, undefined, isPlain) as ObjectMeta)
    : undefined;
  if (!metadata) report({ path: ['metadata'], at: 'value', code: 'IST0106', level: 'Error', message: 'needs metadata with a name' });
  const status = value.status !== undefined && info.status ? decode(info.status, value.status, ['status'], () => {}) : value.status;
  const rest: Record<string, unknown> = {};
  for (const name in value) {
    if (name === 'apiVersion' || name === 'kind' || name === 'metadata' || name === 'status' || (name === 'spec' && !info.flat)) continue;
    rest[name] = value[name];
  }
  if (info.flat) return { metadata, spec: decode(info.schema, rest, [], report, deprecated, isPlain), status };
  for (const name in rest) {
    const hint = closest(name, ['apiVersion', 'kind', 'metadata', 'spec', 'status']);
    report({
      path: [name],
      at: 'key',
      ...codeOf('SP0008'),
      message: `no such field${hint ? `; did you mean ${hint}?` : '; an object has apiVersion, kind, metadata and spec'}`,
      mend: inPlaceOf(name, hint),
    });
  }
  return { metadata, spec: decode(info.schema, value.spec ?? {}, ['spec'], report, deprecated, isPlain), status };
}

function toFinding(issue: Issue, origin: Origin, source: Source): Finding {
  const where = formatPath(issue.path);
  return {
    code: issue.code,
    level: issue.level,
    message: where ? `${where}: ${issue.message}` : issue.message,
    origin,
    position: issue.at === 'key' ? source.keyPosition(issue.path) : source.position(issue.path),
    ...(issue.mend && source.isPlain?.(issue.path, issue.at) && { mend: issue.mend }),
  };
}

function splitVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

/** The name under which resources have a kind that documents call `kind`; a Gateway may be of either of two groups. */
function kindOf(kind: string, group: string): Kind | undefined {
  return kindsNamed(kind).find((name) => KINDS[name].group === group);
}

/** As `Resource.kind` has it; undefined for a kind that is not read. */
export function kindOfDocument(kind: string, apiVersion: string): Kind | undefined {
  return kindOf(kind, splitVersion(apiVersion)[0]);
}

function kindsNamed(kind: string): Kind[] {
  if (kind === 'Gateway') return ['Gateway', 'KubernetesGateway'];
  return Object.hasOwn(KINDS, kind) && documentKind(kind as Kind) === kind ? [kind as Kind] : [];
}

/** What documents call a kind. */
function documentKind(kind: Kind): string {
  const { name }: KindInfo = KINDS[kind];
  return name ?? kind;
}

/** Groups all of whose kinds are known. */
const WHOLE_GROUPS: ReadonlySet<string> = new Set([KINDS.ServiceEntry.group, KINDS.PeerAuthentication.group, KINDS.Telemetry.group]);

/** Edits that make of a group another one: `networking.istio.io` and `networking.k8s.io` are further apart. */
const GROUP_EDITS = 3;

/** Whether no cluster has the kind, as far as can be told: names are misspelt, or the kind is another group's. */
function isNoKind(kind: string, group: string): boolean {
  if (UNREAD_KINDS.has(kind)) return false;
  if (WHOLE_GROUPS.has(group)) return true;
  const groups = kindsNamed(kind).map((name) => KINDS[name].group);
  const known = (Object.keys(KINDS) as Kind[]).filter((name) => KINDS[name].group === group);
  if (groups.length > 0) return known.length > 0 || groups.some((right) => editDistance(group, right, GROUP_EDITS) <= GROUP_EDITS);
  return known.some((name) => editDistance(kind.toLowerCase(), documentKind(name).toLowerCase(), 1) <= 1);
}

/** Files of a Helm chart that are no objects. */
const CHART_FILE = /(?:^|\/)(?:Chart|values[^/]*)\.ya?ml$/;
const KUSTOMIZE_GROUP = 'kustomize.config.k8s.io';

function unknownKind(kind: string, group: string, apiVersion: string, isNone: boolean): string {
  const effect = UNREAD_KINDS.get(kind);
  if (effect !== undefined)
    return `skipped: Sallyport reads no ${kind}. In a cluster it ${effect}: answers on calls leave that out, and nothing is proved beside it.`;
  if (group === KUSTOMIZE_GROUP)
    return 'skipped: a kustomization changes and leaves out what it lists, and the files beside it are read as they are. Build it first, e.g. kubectl kustomize FOLDER | sallyport analyze -';
  const lead = isNone ? 'not in force:' : 'skipped:';
  const names = Object.keys(KINDS) as Kind[];
  const same = kindsNamed(kind).map((name) => KINDS[name]);
  if (same.length > 0) {
    const versions = same.map((info) => `${info.group ? `${info.group}/` : ''}${info.versions[0]}`);
    return `${lead} ${apiVersion} has no ${kind}${isNone ? '' : ' that Sallyport reads'}; did you mean ${versions.join(' or ')}?`;
  }
  const hint = closest(kind, names.filter((name) => KINDS[name].group === group).map(documentKind));
  const what = isNone ? `${apiVersion} has no ${kind}` : `Sallyport reads no ${kind} of ${apiVersion}`;
  return `${lead} ${what}${hint ? `; did you mean ${hint}?` : ''}`;
}

function originOfUnknown(value: Record<string, unknown>, kind: string): Origin {
  const metadata = isMapping(value.metadata) ? value.metadata : {};
  const name = typeof metadata.name === 'string' ? metadata.name : '';
  return { kind, namespace: typeof metadata.namespace === 'string' ? metadata.namespace : '', name };
}
