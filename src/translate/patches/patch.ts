/** Which patches of EnvoyFilters hold for a proxy. */
import type { Message } from '@bufbuild/protobuf';
import type { ResourceOf } from '../../api/index.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import type { Lists } from '../../xds/patches/merge.ts';
import { readPatch } from '../../xds/patches/read.ts';
import type { Patchable } from '../../xds/patches/value.ts';
import { selects } from '../authorization/selection.ts';
import type { ProxyInMesh } from '../context.ts';

type EnvoyFilter = ResourceOf<'EnvoyFilter'>;
type Stated = EnvoyFilter['spec']['configPatches'][number];

/** The side of a proxy that is patched. */
export type Side = 'GATEWAY' | 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND';
export type Operation = Exclude<NonNullable<Stated['patch']>['operation'], 'INVALID'>;

export interface Patch {
  readonly source: EnvoyFilter;
  readonly operation: Operation;
  readonly match: Stated['match'];
  readonly value: Message;
}

/** By what they are applied to, in the order in which they are. */
export type PatchSet = ReadonlyMap<Patchable, readonly Patch[]>;

/** The same set for the same EnvoyFilters; undefined where none holds. */
export function patchSet(context: ProxyInMesh): PatchSet | undefined {
  const { snapshot, config } = context.mesh;
  const all = snapshot.list('EnvoyFilter');
  if (all.length === 0) return undefined;
  const ordered = all.filter((each) => patchesProxy(context, each)).sort((a, b) => before(a, b, config.rootNamespace));
  const [first, ...rest] = ordered;
  return first && kept.get([first, ...rest], NO_INPUTS, () => setOf(ordered));
}

const kept = new Memo<PatchSet>();

/** Whether the EnvoyFilter is for the proxy: by its namespace and selector, or by the Gateways that it names. */
export function patchesProxy(context: ProxyInMesh, filter: EnvoyFilter): boolean {
  const { workloadSelector, targetRefs } = filter.spec;
  return selects(context, { ...filter, spec: { selector: { matchLabels: workloadSelector?.labels ?? {} }, targetRefs } });
}

/** As Istio orders them: by priority, those of the root namespace first, then by age, in which order lists are. */
function before(a: EnvoyFilter, b: EnvoyFilter, root: string): number {
  const isRoot = ({ metadata }: EnvoyFilter) => (metadata.namespace === root ? 0 : 1);
  return a.spec.priority - b.spec.priority || isRoot(a) - isRoot(b);
}

function setOf(filters: readonly EnvoyFilter[]): PatchSet {
  const set = new Map<Patchable, Patch[]>();
  for (const source of filters) {
    for (const stated of source.spec.configPatches) {
      const reading = readPatch(stated);
      if (reading.kind !== 'applied') continue;
      const { match, patch } = stated;
      const applyTo = stated.applyTo as Patchable;
      const each = { source, operation: operationOf(applyTo, patch!.operation as Operation), match, value: reading.value.message };
      const list = set.get(applyTo);
      if (list) list.push(each);
      else set.set(applyTo, [each]);
    }
  }
  return set;
}

const PLACED: ReadonlySet<Patchable> = new Set<Patchable>(['HTTP_FILTER', 'HTTP_ROUTE', 'LISTENER_FILTER', 'NETWORK_FILTER']);

/** Elsewhere there is no place, and to insert is to add. */
function operationOf(applyTo: Patchable, operation: Operation): Operation {
  return operation.startsWith('INSERT_') && !PLACED.has(applyTo) ? 'ADD' : operation;
}

export function isFor({ match }: Patch, side: Side): boolean {
  return !match || match.context === 'ANY' || match.context === side;
}

export function listsOf({ operation }: Patch): Lists {
  return operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : 'append';
}

export function isMerge(operation: Operation): boolean {
  return operation === 'MERGE' || operation === 'MERGE_AND_REPLACE_LIST';
}
