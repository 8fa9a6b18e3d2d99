/** What two configurations say differently, and which of it a change of calls comes from. Pure. */
import type { PathStep, Resource } from '../api/resource.ts';
import { originOf } from '../api/resource.ts';
import type { Position } from '../lib/finding.ts';
import { type Origin, originText } from '../lib/origin.ts';
import { sameContent } from '../lib/same.ts';
import type { SimulatedFiles } from './simulated.ts';

/** An object, or a field of one, that is not what it was. */
export interface Cause {
  readonly origin: Origin;
  /** How it changed: `is new`, `is gone`, `spec.hosts: ["a.example"] -> ["b.example"]`, or of a long list `spec.hosts: without ["a.example"]`. */
  readonly text: string;
  /** It is in the old configuration alone, where `position` is then. */
  readonly gone?: true;
  readonly position?: Position;
}

const MESH_CONFIG: Origin = { kind: 'MeshConfig', namespace: '', name: '' };

/** Kinds that traces name. The others decide without being seen: a Sidecar hides, a Pod is who calls. */
const SEEN: ReadonlySet<string> = new Set([
  'ServiceEntry',
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'KubernetesGateway',
]);

/** Finds the causes of changes between two configurations, by the resources on the way of a call. */
export function causesBetween(before: SimulatedFiles, after: SimulatedFiles): (onTheWay: readonly Origin[]) => readonly Cause[] {
  const changed = new Map<string, readonly Cause[]>();
  const [old, young] = [writtenIn(before), writtenIn(after)];
  for (const [key, resource] of young) {
    const known = old.get(key);
    const causes = known
      ? causesIn(known, resource)
      : [{ origin: originOf(resource), text: 'is new', position: resource.source.position() }];
    if (causes.length > 0) changed.set(key, causes);
  }
  for (const [key, resource] of old) {
    if (!young.has(key))
      changed.set(key, [{ origin: originOf(resource), text: 'is gone', gone: true, position: resource.source.position() }]);
  }
  const settings = differencesOf(before.mesh.config, after.mesh.config).map(({ path, text }) => {
    const position = after.meshPosition?.(path) ?? before.meshPosition?.(path);
    return { origin: MESH_CONFIG, text, ...(position && { position }) };
  });
  const all = [...settings, ...[...changed.values()].flat()];
  const unseen = all.filter(({ origin }) => !SEEN.has(origin.kind));
  return (onTheWay) => {
    const found = [...new Set(onTheWay.map(originText))].flatMap((key) => changed.get(key) ?? []);
    if (found.length > 0) return found;
    return unseen.length > 0 ? unseen : all;
  };
}

/** By what origins call them. What is derived of another object changes with it; the MeshConfig's ConfigMap is compared field by field. */
function writtenIn({ mesh: { snapshot } }: SimulatedFiles): Map<string, Resource> {
  const own = snapshot
    .all()
    .filter(({ kind, metadata, valid, derivedFrom }) => valid && !derivedFrom && !(kind === 'ConfigMap' && metadata.name === 'istio'));
  return new Map(own.map((resource) => [originText(originOf(resource)), resource]));
}

function causesIn(before: Resource, after: Resource): Cause[] {
  const view = ({ spec, metadata: { labels, annotations } }: Resource) => ({ spec, metadata: { labels, annotations } });
  const isThere = (path: readonly PathStep[]) => after.source.position(path);
  return differencesOf(view(before), view(after)).map(({ path, text }) => ({ origin: originOf(after), text, position: isThere(path) }));
}

interface Difference {
  readonly path: readonly PathStep[];
  readonly text: string;
}

/** So many fields of one object are named. */
const MOST = 4;

function differencesOf(before: unknown, after: unknown): Difference[] {
  const all = [...differences(before, after, [])];
  const rest = all.length - MOST;
  return rest > 0 ? [...all.slice(0, MOST), { path: all[MOST]!.path, text: `and ${rest} more fields` }] : all;
}

function* differences(before: unknown, after: unknown, path: readonly PathStep[]): Generator<Difference> {
  if (sameContent(before, after)) return;
  if (Array.isArray(before) && Array.isArray(after) && before.length !== after.length) {
    yield { path, text: `${path.join('.')}: ${listsText(before, after)}` };
    return;
  }
  const [a, b] = [fieldsOf(before), fieldsOf(after)];
  if (!a || !b || Array.isArray(before) !== Array.isArray(after)) {
    yield { path, text: `${path.join('.')}: ${valueText(before)} -> ${valueText(after)}` };
    return;
  }
  for (const key of new Set([...a.keys(), ...b.keys()])) yield* differences(a.get(key), b.get(key), [...path, key]);
}

/** Two lists; of long ones what one of them alone has, where it is not order or number that differs. */
function listsText(before: readonly unknown[], after: readonly unknown[]): string {
  const without = (list: readonly unknown[], other: readonly unknown[]) =>
    list.filter((item) => !other.some((each) => sameContent(item, each)));
  const [gone, come] = [without(before, after), without(after, before)];
  const isShort = [before, after].every((list) => JSON.stringify(list).length <= LONGEST);
  if (isShort || gone.length + come.length === 0) return `${valueText(before)} -> ${valueText(after)}`;
  return [...(gone.length > 0 ? [`without ${valueText(gone)}`] : []), ...(come.length > 0 ? [`with ${valueText(come)}`] : [])].join(', ');
}

function fieldsOf(value: unknown): Map<PathStep, unknown> | undefined {
  if (Array.isArray(value)) return new Map(value.map((item, i) => [i, item]));
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined;
}

const LONGEST = 60;

function valueText(value: unknown): string {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
