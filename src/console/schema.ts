/** Shapes of the API's answers: each is a JSON Schema (draft 2020-12, as OpenAPI 3.1 has it) and the TypeScript type of what it describes. */
export type JsonSchema = { readonly [key: string]: unknown };

export interface Shape<T> {
  readonly json: JsonSchema;
  /** Never there: it carries the type. */
  readonly output?: T;
}

/** The type that a shape describes. */
export type Of<S> = S extends Shape<infer T> ? T : never;

type Shapes = Readonly<Record<string, Shape<unknown>>>;
type Flat<T> = { readonly [K in keyof T]: T[K] };
type RecordOf<R extends Shapes, O extends Shapes> = Flat<{ readonly [K in keyof R]: Of<R[K]> } & { readonly [K in keyof O]?: Of<O[K]> }>;

export function text(description: string): Shape<string> {
  return { json: { type: 'string', description } };
}

export function flag(description: string): Shape<boolean> {
  return { json: { type: 'boolean', description } };
}

/** From 0 on. */
export function count(description: string): Shape<number> {
  return { json: { type: 'integer', minimum: 0, description } };
}

export function oneOf<const V extends readonly string[]>(values: V, description: string): Shape<V[number]> {
  return { json: { type: 'string', enum: values, description } };
}

export function listOf<T>(item: Shape<T>, description = ''): Shape<readonly T[]> {
  return { json: { type: 'array', items: item.json, ...(description && { description }) } };
}

/** @param optional fields that may be absent */
export function record<R extends Shapes, O extends Shapes = Record<never, never>>(
  required: R,
  optional?: O,
  description = '',
): Shape<RecordOf<R, O>> {
  const properties = Object.fromEntries(Object.entries({ ...required, ...optional }).map(([name, { json }]) => [name, json]));
  return {
    json: { type: 'object', ...(description && { description }), properties, required: Object.keys(required), additionalProperties: false },
  };
}

/** What is described elsewhere by hand, as flows are. */
export function described<T>(json: JsonSchema): Shape<T> {
  return { json };
}

/** A part of the document's own: elsewhere it is referred to by its name. */
export function named<T>(name: string, { json }: Shape<T>): Shape<T> & { readonly name: string; readonly whole: JsonSchema } {
  return { json: { $ref: `#/components/schemas/${name}` }, name, whole: json };
}
