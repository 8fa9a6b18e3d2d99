import { parseDuration } from '../lib/duration.ts';
import { inPlaceOf, type Level, type Mend } from '../lib/finding.ts';
import { Redacted } from '../lib/redacted.ts';
import { closest } from '../lib/spelling.ts';
import type { PathStep } from './resource.ts';
import type { Field, Node, ObjectNode } from './schema.ts';

/** What is wrong with a field of an object. */
export interface Issue {
  /** From the root of the object. */
  readonly path: readonly PathStep[];
  /** Whether the field's key or its value is what is wrong. */
  readonly at: 'key' | 'value';
  readonly code: string;
  readonly level: Level;
  readonly message: string;
  /** As in `Finding`. */
  readonly mend?: Mend | undefined;
}

/** More values than this in one object are refused: aliases can make a short text stand for very many. */
const MOST_VALUES = 1_000_000;

/**
 * Decodes one object. Goes on after each issue, so that one run reports all of them; what did not decode is absent from the result.
 * The decoded form is described at `Resource`.
 * @param deprecated called with each deprecated field that is used.
 * @param isPlain given for what was read from YAML: a plain `yes` or `off` is a boolean to the API server.
 */
export function decode(
  field: Field,
  value: unknown,
  path: readonly PathStep[],
  report: (issue: Issue) => void,
  deprecated: (path: readonly PathStep[]) => void = () => {},
  isPlain?: IsPlain,
): unknown {
  return new Decoder([...path], report, deprecated, isPlain).node(field.node, value);
}

/** Whether the text has the value at `path` without quotes. */
export type IsPlain = (path: readonly PathStep[]) => boolean;

/** What the API server, whose YAML is that of version 1.1, takes for a boolean where it stands without quotes; `y` and `n`, which many readers leave alone, are left out. */
const OLD_BOOLEANS: ReadonlyMap<string, boolean> = new Map(
  ['yes', 'on', 'no', 'off'].flatMap((word) =>
    [word, word.toUpperCase(), word[0]!.toUpperCase() + word.slice(1)].map((each) => [each, word === 'yes' || word === 'on'] as const),
  ),
);

const FAILED = Symbol('failed');

class Decoder {
  readonly #path: PathStep[];
  readonly #report: (issue: Issue) => void;
  readonly #deprecated: (path: readonly PathStep[]) => void;
  readonly #isPlain: IsPlain | undefined;
  #values = 0;

  constructor(
    path: PathStep[],
    report: (issue: Issue) => void,
    deprecated: (path: readonly PathStep[]) => void,
    isPlain: IsPlain | undefined,
  ) {
    this.#isPlain = isPlain;
    this.#path = path;
    this.#report = report;
    this.#deprecated = deprecated;
  }

  node(node: Node, value: unknown): unknown {
    const decoded = this.#node(node, value);
    return decoded === FAILED ? undefined : decoded;
  }

  #node(node: Node, value: unknown): unknown {
    if (++this.#values > MOST_VALUES) {
      if (this.#values === MOST_VALUES + 1)
        this.#issue(`holds more than ${MOST_VALUES} values: split the object; nested aliases count in full`);
      return FAILED;
    }
    switch (node.type) {
      case 'object':
        return isMapping(value) ? this.#object(node, value) : this.#wrongType('a mapping', value);
      case 'string':
        return typeof value === 'string' ? this.#string(node, value) : this.#wrongType('a string', value);
      case 'list':
        return Array.isArray(value) ? this.#list(node, value) : this.#wrongType('a list', value);
      case 'map':
        return isMapping(value) ? this.#map(node, value) : this.#wrongType('a mapping', value);
      case 'integer':
        if (typeof value !== 'number' || !Number.isInteger(value)) return this.#wrongType('a whole number', value);
        return value < node.minimum || value > node.maximum
          ? this.#issue(`must be from ${node.minimum} to ${node.maximum}, not ${value}`)
          : value;
      case 'number':
        if (typeof value !== 'number' || !Number.isFinite(value)) return this.#wrongType('a number', value);
        if (node.minimum !== undefined && value < node.minimum) return this.#issue(`must be at least ${node.minimum}, not ${value}`);
        return node.maximum !== undefined && value > node.maximum ? this.#issue(`must be at most ${node.maximum}, not ${value}`) : value;
      case 'boolean':
        return typeof value === 'boolean' ? value : (this.#oldBoolean(value) ?? this.#wrongType('true or false', value));
      case 'enum':
        return this.#enum(node, value);
      case 'duration':
        return this.#duration(node, value);
      case 'intOrString':
        if (typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value))) return value;
        return this.#wrongType('a whole number or a string', value);
      case 'bytes':
        if (typeof value !== 'string') return this.#wrongType('a string in base64', value);
        return isBase64(value) ? new Redacted(Buffer.from(value, 'base64')) : this.#issue('is not base64');
      case 'any':
        return value;
    }
  }

  #object(node: ObjectNode, value: Record<string, unknown>): Record<string, unknown> {
    const { fields, old } = node;
    const out: Record<string, unknown> = { ...node.defaults };
    let deprecated: Record<string, unknown> | undefined;
    for (const name in value) {
      const raw = value[name];
      const field = fields.get(name);
      if (field) {
        if (raw === null || raw === undefined) continue;
        this.#path.push(name);
        const decoded = this.#node(field.node, raw);
        this.#path.pop();
        if (decoded !== FAILED && decoded !== undefined) out[name] = decoded;
        // A field that is there but does not decode is not reported as missing as well.
        else if (field.required) out[name] = blank(field.node);
      } else if (old.has(name)) {
        if (raw === null || raw === undefined) continue;
        this.#path.push(name);
        this.#deprecated([...this.#path]);
        const decoded = this.#node(old.get(name)!.node, raw);
        this.#path.pop();
        if (decoded !== FAILED) {
          deprecated ??= {};
          deprecated[name] = decoded;
        }
      } else if (!node.open) {
        this.#unknown(node, name);
      }
    }
    for (const group of node.atMostOne) this.#atMostOne(group, out);
    for (const [name, field] of node.demanded) {
      if (Object.hasOwn(out, name)) continue;
      if (field.required) {
        this.#missing(name);
        out[name] = blank(field.node);
      } else out[name] = this.#node(field.node, {});
    }
    node.normalise?.(out, deprecated ?? NOTHING);
    return out;
  }

  #list(node: Extract<Node, { type: 'list' }>, value: readonly unknown[]): unknown {
    if (node.minItems !== undefined && value.length < node.minItems)
      this.#issue(`needs at least ${node.minItems} ${node.minItems === 1 ? 'item' : 'items'}`);
    if (node.maxItems !== undefined && value.length > node.maxItems)
      return this.#issue(`has ${value.length} items, more than the ${node.maxItems} allowed`);
    const out: unknown[] = [];
    const at = this.#path.length;
    for (let index = 0; index < value.length; index++) {
      this.#path.push(index);
      const decoded = this.#node(node.item, value[index]);
      this.#path.length = at;
      if (decoded !== FAILED) out.push(decoded);
    }
    return out;
  }

  #map(node: Extract<Node, { type: 'map' }>, value: Record<string, unknown>): unknown {
    const keys = Object.keys(value);
    if (node.maxProperties !== undefined && keys.length > node.maxProperties)
      return this.#issue(`has ${keys.length} entries, more than the ${node.maxProperties} allowed`);
    const out: Record<string, unknown> = {};
    for (const key of keys) {
      this.#path.push(key);
      const decoded = this.#node(node.value, value[key]);
      this.#path.pop();
      if (decoded === FAILED) continue;
      if (key === '__proto__') Object.defineProperty(out, key, { value: decoded, enumerable: true });
      else out[key] = decoded;
    }
    return out;
  }

  /** The boolean that the API server reads in an unquoted word; undefined if it reads none. */
  #oldBoolean(value: unknown): boolean | undefined {
    const old = typeof value === 'string' && value.length <= 3 ? OLD_BOOLEANS.get(value) : undefined;
    return old !== undefined && this.#isPlain?.(this.#path) ? old : undefined;
  }

  #string(node: Extract<Node, { type: 'string' }>, value: string): unknown {
    const old = this.#oldBoolean(value);
    if (old !== undefined) return this.#issue(`must be a string, and a cluster reads ${value} as ${old}: put it in quotes`);
    if (node.minLength !== undefined && value.length < node.minLength) return this.#issue('must not be empty');
    if (node.maxLength !== undefined && value.length > node.maxLength) {
      return this.#issue(
        node.maxLength === 0 ? 'must stay empty' : `has ${value.length} characters, more than the ${node.maxLength} allowed`,
      );
    }
    if (node.pattern && !node.pattern.test(value)) return this.#issue(`${quote(value)} does not have the form ${node.pattern.source}`);
    return value;
  }

  #enum(node: Extract<Node, { type: 'enum' }>, value: unknown): unknown {
    if (typeof value !== 'string') return this.#wrongType('a string', value);
    if (node.values.includes(value)) return value;
    if (node.synonyms && Object.hasOwn(node.synonyms, value)) return node.synonyms[value];
    const hint = closest(value, node.values);
    return this.#issue(
      `${quote(value)} is none of ${node.values.join(', ')}${hint ? `; did you mean ${hint}?` : ''}`,
      'value',
      'IST0106',
      inPlaceOf(value, hint),
    );
  }

  #duration(node: Extract<Node, { type: 'duration' }>, value: unknown): unknown {
    if (typeof value !== 'string') return this.#wrongType('a duration such as 1.5s', value);
    const milliseconds = parseDuration(value);
    if (milliseconds === undefined) return this.#issue(`${quote(value)} is no duration: write 10s, 1.5s, 250ms or 1h30m`);
    if (node.minimum !== undefined && milliseconds < node.minimum) return this.#issue(`must be at least ${node.minimum}ms, not ${value}`);
    return milliseconds;
  }

  #atMostOne(group: readonly string[], out: Record<string, unknown>): void {
    let first: string | undefined;
    for (const name of group) {
      const value = out[name];
      if (value === undefined || value === false) continue;
      if (first !== undefined) {
        this.#path.push(name);
        this.#issue(`stands beside ${first}: only one of ${group.join(', ')} may be set`, 'key');
        this.#path.pop();
        return;
      }
      first = name;
    }
  }

  #missing(name: string): void {
    this.#issue(`needs the field ${name}`);
  }

  #unknown(node: ObjectNode, name: string): void {
    const known = [...node.fields.keys()];
    const hint = closest(name, known);
    const advice = hint
      ? `did you mean ${hint}?`
      : known.length === 0
        ? 'no field is possible here'
        : `possible here: ${known.sort().join(', ')}`;
    this.#path.push(name);
    this.#issue(`no such field; ${advice}`, 'key', 'SP0008', inPlaceOf(name, hint));
    this.#path.pop();
  }

  #wrongType(wanted: string, value: unknown): typeof FAILED {
    const hint = wanted === 'a string' && (typeof value === 'number' || typeof value === 'boolean') ? `: put it in quotes` : '';
    return this.#issue(`must be ${wanted}, not ${describe(value)}${hint}`);
  }

  #issue(message: string, at: Issue['at'] = 'value', code = 'IST0106', mend?: Mend): typeof FAILED {
    this.#report({ path: [...this.#path], at, code, level: 'Error', message, mend });
    return FAILED;
  }
}

const NOTHING: Readonly<Record<string, never>> = Object.freeze({});

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isBase64 = (text: string) => /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text) && text.replaceAll(/\s/g, '').length % 4 === 0;

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? `the string ${quote(value)}` : `the ${typeof value} ${String(value)}`;
}

/** A path as messages print it: `spec.servers[0].port.number`. */
export function formatPath(path: readonly PathStep[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text ? `.${step}` : step;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** The placeholder for a required field that is missing or broken. The object is not in force, but analysis still walks over it. */
function blank(node: Node): unknown {
  switch (node.type) {
    case 'list':
      return [];
    case 'map':
      return {};
    case 'object': {
      const out: Record<string, unknown> = { ...node.defaults };
      for (const [name, field] of node.demanded) out[name] = blank(field.node);
      return out;
    }
    case 'boolean':
      return false;
    case 'integer':
    case 'number':
    case 'duration':
      return 0;
    case 'enum':
      return node.values[0];
    default:
      return '';
  }
}
