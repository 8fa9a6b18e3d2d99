/**
 * Schemas of the API's objects, as plain data: one description gives the type, the decoder (decode.ts) with its spelling hints, the JSON Schema
 * (json-schema.ts) and the documentation's list of fields. Why no library: docs/decisions/schemas-and-yaml.md.
 */
import type { Redacted } from '../lib/redacted.ts';

/** What a node of a schema accepts. `old` fields are deprecated spellings: they decode, and `normalise` moves them to the present field. */
export type Node =
  | { readonly type: 'string'; readonly minLength?: number; readonly maxLength?: number; readonly pattern?: RegExp }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum: number }
  | { readonly type: 'number'; readonly minimum?: number; readonly maximum?: number }
  | { readonly type: 'boolean' }
  | EnumNode
  | { readonly type: 'duration'; readonly minimum?: number }
  | { readonly type: 'intOrString' }
  | { readonly type: 'bytes' }
  | { readonly type: 'any' }
  | { readonly type: 'list'; readonly item: Node; readonly minItems?: number; readonly maxItems?: number }
  | { readonly type: 'map'; readonly value: Node; readonly maxProperties?: number }
  | ObjectNode;

interface EnumNode {
  readonly type: 'enum';
  readonly values: readonly string[];
  /** Deprecated values and what they decode to; undefined: to absence. */
  readonly synonyms?: Readonly<Record<string, string | undefined>>;
}

export interface ObjectNode {
  readonly type: 'object';
  readonly fields: ReadonlyMap<string, Field>;
  readonly old: ReadonlyMap<string, Field>;
  /** What the fields with a default are when absent. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** The fields that must be there, or are implied. */
  readonly demanded: readonly (readonly [name: string, field: Field])[];
  /** Of each group at most one field may be set. */
  readonly atMostOne: readonly (readonly string[])[];
  /** Fields beyond the known ones pass without a finding and are dropped: parts of Kubernetes objects that the product never reads. */
  readonly open: boolean;
  readonly normalise?: (value: Record<string, unknown>, old: Record<string, unknown>) => void;
}

export interface Field {
  readonly node: Node;
  readonly required: boolean;
  /** What an absent field decodes to; undefined where it stays absent. */
  readonly fallback: unknown;
  /** An absent field decodes as an empty object would. */
  readonly implied?: boolean;
}

/** A schema whose decoded form is `T`; `Present` is true where an object always has the field after decoding. */
export interface Schema<T, Present extends boolean = boolean> extends Field {
  readonly output?: T;
  readonly present?: Present;
}

/** The decoded form of a schema. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Fields = Readonly<Record<string, Schema<unknown>>>;
type PresentKeys<F> = { [K in keyof F]: F[K] extends { readonly present?: infer P } ? (true extends P ? K : never) : never }[keyof F];
type Flat<T> = { readonly [K in keyof T]: T[K] };
type ObjectOf<F extends Fields> = Flat<
  { [K in keyof F & PresentKeys<F>]: Infer<F[K]> } & { [K in Exclude<keyof F, PresentKeys<F>>]?: Infer<F[K]> }
>;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

const EMPTY_LIST: readonly never[] = Object.freeze([]);
const EMPTY_MAP: Readonly<Record<string, never>> = Object.freeze({});

function field<T, P extends boolean>(node: Node, fallback?: unknown): Schema<T, P> {
  return { node, required: false, fallback };
}

interface StringLimits {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: RegExp;
}

export function string(limits: StringLimits = {}): Schema<string, false> {
  return field({ type: 'string', ...limits });
}

/** A whole number within a range; by default protobuf's uint32. */
export function integer(minimum = 0, maximum = 0xffff_ffff): Schema<number, false> {
  return field({ type: 'integer', minimum, maximum });
}

export function int32(): Schema<number, false> {
  return integer(-0x8000_0000, 0x7fff_ffff);
}

export function number(minimum?: number, maximum?: number): Schema<number, false> {
  return field({ type: 'number', minimum, maximum });
}

/** A port number, 1 to 65535. */
export function port(): Schema<number, false> {
  return integer(1, 65535);
}

/** A plain flag, false when absent. */
export function boolean(): Schema<boolean, true> {
  return field({ type: 'boolean' }, false);
}

/** A flag whose absence differs from false (protobuf's BoolValue). */
export function booleanValue(): Schema<boolean, false> {
  return field({ type: 'boolean' });
}

export function enumeration<const V extends readonly string[]>(...values: V): Schema<V[number], false> {
  return field({ type: 'enum', values });
}

/** An enumeration that also takes deprecated values, which decode to present ones or (undefined) to absence. */
export function withSynonyms<V extends string>(
  schema: Schema<V, false>,
  synonyms: Readonly<Record<string, V | undefined>>,
): Schema<V, false> {
  return { ...schema, node: { ...(schema.node as EnumNode), synonyms } };
}

/** Written in Go's syntax, decoded to milliseconds; `minimum` in milliseconds. */
export function duration(minimum?: number): Schema<number, false> {
  return field({ type: 'duration', minimum });
}

/** A port number or its name (Kubernetes' IntOrString). */
export function intOrString(): Schema<number | string, false> {
  return field({ type: 'intOrString' });
}

/** Base64 text; decodes to bytes that don't print. */
export function bytes(): Schema<Redacted, false> {
  return field({ type: 'bytes' });
}

/** Free-form: passed on as it was written. */
export function any<T = unknown>(): Schema<T, false> {
  return field({ type: 'any' });
}

/** A list, empty when absent. */
export function list<T>(item: Schema<T>, limits: { minItems?: number; maxItems?: number } = {}): Schema<readonly T[], true> {
  return field({ type: 'list', item: item.node, ...limits }, EMPTY_LIST);
}

/** A map from strings, empty when absent. */
export function map<T>(value: Schema<T>, limits: { maxProperties?: number } = {}): Schema<Readonly<Record<string, T>>, true> {
  return field({ type: 'map', value: value.node, ...limits }, EMPTY_MAP);
}

interface ObjectOptions<F extends Fields, O extends Fields> {
  readonly atMostOne?: readonly (readonly (keyof F & string)[])[];
  readonly open?: boolean;
  /** Deprecated spellings: accepted, absent from the decoded form. */
  readonly old?: O;
  /** Completes the decoded form: defaults that depend on other fields, and what the deprecated fields said. */
  readonly normalise?: (value: Writable<ObjectOf<F>>, old: Partial<{ [K in keyof O]: Infer<O[K]> }>) => void;
}

export function object<F extends Fields, O extends Fields = Record<never, never>>(
  fields: F,
  options: ObjectOptions<F, O> = {},
): Schema<ObjectOf<F>, false> {
  const entries = Object.entries<Field>(fields);
  return field({
    type: 'object',
    fields: new Map(entries),
    old: new Map(Object.entries<Field>(options.old ?? {})),
    defaults: Object.fromEntries(
      entries.filter(([, field]) => !isDemanded(field) && field.fallback !== undefined).map(([name, field]) => [name, field.fallback]),
    ),
    demanded: entries.filter(([, field]) => isDemanded(field)),
    atMostOne: options.atMostOne ?? [],
    open: options.open ?? false,
    normalise: options.normalise as ObjectNode['normalise'],
  });
}

function isDemanded(field: Field): boolean {
  return field.required || field.implied === true;
}

/** The field must be there. */
export function required<T>(schema: Schema<T>): Schema<T, true> {
  return { ...schema, required: true } as Schema<T, true>;
}

/** An absent field decodes to `fallback`. */
export function withDefault<T>(schema: Schema<T>, fallback: T): Schema<T, true> {
  return { ...schema, fallback } as Schema<T, true>;
}

/** An absent object decodes as an empty one. */
export function implied<T>(schema: Schema<T>): Schema<T, true> {
  return { ...schema, implied: true } as Schema<T, true>;
}
