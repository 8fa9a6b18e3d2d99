/** Merging messages as Istio merges the patches of EnvoyFilters (pkg/proto/merge): protobuf's own way, but for durations, which are replaced. */
import { type DescField, type DescMessage, isFieldSet, type Message, type MessageShape } from '@bufbuild/protobuf';
import { DurationSchema, StructSchema } from '@bufbuild/protobuf/wkt';

/** What a list of the patch does to the list that is there. */
export type Lists = 'append' | 'replace';

type Fields = Record<string, unknown>;
type Chosen = { readonly case: string | undefined; readonly value?: unknown };

/**
 * A new message: `target` with what `patch` sets. Fields that `patch` leaves at their default are not set: false does not replace true, nor 0 a number,
 * in wrapped values neither, as in Istio. Maps take the patch's entries in place of their own. Parts of both may be parts of the result.
 */
export function merged<Desc extends DescMessage>(
  schema: Desc,
  target: MessageShape<Desc>,
  patch: MessageShape<Desc>,
  lists: Lists = 'append',
): MessageShape<Desc> {
  const result = { ...target } as unknown as Fields;
  const from = patch as unknown as Fields;
  for (const field of schema.fields) {
    if (!isFieldSet(patch, field)) continue;
    const { oneof, localName } = field;
    if (!oneof) {
      result[localName] = mergedField(field, result[localName], from[localName], lists);
      continue;
    }
    const [old, given] = [result[oneof.localName] as Chosen, from[oneof.localName] as Chosen];
    const before = old.case === localName ? old.value : undefined;
    result[oneof.localName] = { case: localName, value: mergedField(field, before, given.value, lists) };
  }
  return result as unknown as MessageShape<Desc>;
}

function mergedField(field: DescField, old: unknown, given: unknown, lists: Lists): unknown {
  switch (field.fieldKind) {
    case 'list':
      return lists === 'replace' || old === undefined ? given : [...(old as readonly unknown[]), ...(given as readonly unknown[])];
    case 'map':
      return { ...(old as object | undefined), ...(given as object) };
    case 'message':
      return mergedMessage(field.message, old, given, lists);
    default:
      return given;
  }
}

function mergedMessage(schema: DescMessage, old: unknown, given: unknown, lists: Lists): unknown {
  if (old === undefined || schema.typeName === DurationSchema.typeName) return given;
  if (schema.typeName === StructSchema.typeName) return { ...(old as object), ...(given as object) };
  // protobuf-es has wrappers as the values in them.
  if (typeof given !== 'object' || given instanceof Uint8Array) return isDefault(given) ? old : given;
  return merged(schema, old as Message, given as Message, lists);
}

function isDefault(value: unknown): boolean {
  return !value || (value instanceof Uint8Array && value.length === 0);
}
