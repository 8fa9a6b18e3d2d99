/** Applying patches one after the other, and telling of it. */
import { create } from '@bufbuild/protobuf';
import type { Resource } from '../../api/resource.ts';
import { type Metadata, MetadataSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { refusalOf } from '../../xds/match/metadata.ts';
import { SALLYPORT_METADATA } from '../../xds/names.ts';
import { metadataOf } from '../metadata.ts';
import type { Operation, Patch } from './patch.ts';

/** The EnvoyFilters that changed something. */
export type Credits = Set<Resource>;

/** What becomes of `start`; a step that changes nothing returns what it was given. Undefined, which a step may return, ends it. */
export function applied<T extends object>(
  start: T,
  patches: readonly Patch[],
  credits: Credits,
  step: (value: T, patch: Patch) => T | undefined,
): T | undefined {
  let result = start;
  for (const patch of patches) {
    const next = step(result, patch);
    if (next !== result) credits.add(patch.source);
    if (next === undefined) return undefined;
    result = next;
  }
  return result;
}

/** The EnvoyFilters stand last among the resources that an object follows from. */
export function credited<T extends { readonly metadata?: Metadata | undefined }>(message: T, credits: Credits): T {
  const given = metadataOf({ origins: [...credits] })?.filterMetadata[SALLYPORT_METADATA];
  if (!given) return message;
  const { filterMetadata = {}, typedFilterMetadata = {} } = message.metadata ?? {};
  const own = filterMetadata[SALLYPORT_METADATA];
  const origins = [own?.origins, given.origins].flatMap((list) => (Array.isArray(list) ? list : []));
  const metadata = create(MetadataSchema, {
    filterMetadata: { ...filterMetadata, [SALLYPORT_METADATA]: { ...own, origins } },
    typedFilterMetadata,
  });
  return { ...message, metadata };
}

/** The list with a filter added, inserted, replaced or removed; `named`: what the patch looks for, undefined for the list's ends. */
export function placed<T extends { readonly name: string }>(
  list: readonly T[],
  operation: Operation,
  filter: T,
  named: string | undefined,
): readonly T[] {
  const at = list.findIndex(({ name }) => name === named);
  if (operation === 'REPLACE') return at < 0 ? list : list.with(at, filter);
  if (operation === 'REMOVE') return at < 0 ? list : list.filter(({ name }) => name !== named);
  return inserted(list, operation, filter, named === undefined ? undefined : at);
}

/** The list with the member where the operation puts one; `at`: the place of what it looks for, -1 where there is none, undefined where it looks for nothing. */
export function inserted<T>(list: readonly T[], operation: Operation, member: T, at: number | undefined): readonly T[] {
  switch (operation) {
    case 'ADD':
      return [...list, member];
    case 'INSERT_FIRST':
      return [member, ...list];
    case 'INSERT_BEFORE':
      return at === -1 ? list : list.toSpliced(at ?? 0, 0, member);
    case 'INSERT_AFTER':
      return at === -1 ? list : list.toSpliced(at === undefined ? list.length : at + 1, 0, member);
    default:
      return list;
  }
}

/** Each member changed; the same list where none is. */
export function mapped<T>(list: readonly T[], change: (member: T) => T): readonly T[] {
  const result = list.map(change);
  return result.every((member, index) => member === list[index]) ? list : result;
}

/** What becomes of a list of which the members that refuse stay: before the others, so that they are the first to be asked. */
export function withRefusing<T extends { readonly metadata?: Metadata | undefined }>(before: readonly T[], after: readonly T[]): T[] {
  const lost = before.filter((each) => refusalOf(each.metadata) !== undefined && !after.includes(each));
  return [...lost, ...after];
}

/** Of several under one name the first, as in Istio: what is added takes the place of nothing. */
export function firstOfName<T extends { readonly name: string }>(list: readonly T[]): readonly T[] {
  const names = new Set<string>();
  return list.filter(({ name }) => !names.has(name) && names.add(name));
}
