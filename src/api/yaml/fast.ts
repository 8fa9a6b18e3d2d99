// biome-ignore-all lint/style/noExcessiveLinesPerFile: one parser whose parts call each other and share its fields; apart they would be harder to follow.
/**
 * Parses the YAML that configuration files are mostly made of, several times as fast as a complete parser: block and flow collections of
 * plain and quoted scalars on one line, in ASCII. It gives up on anything else (anchors, tags, block scalars, scalars over several lines,
 * tabs, any error), and the complete parser decides what such a text means. What this parser accepts, the complete one reads the same way;
 * fast.test.ts compares the two.
 */

import {
  APOSTROPHE,
  CLOSE_LIST,
  CLOSE_MAP,
  COLON,
  COMMA,
  DASH,
  HASH,
  NEWLINE,
  OPEN_LIST,
  OPEN_MAP,
  QUESTION,
  QUOTE,
  SPACE,
} from './chars.ts';

/** The text is not for this parser. */
export const LEFT_ALONE = Symbol('left alone');

const BAIL = new Error('left alone');

const DEEPEST = 50;

/** Size of the tables of what was seen; a power of two. */
const SLOTS = 4096;

/** Longer scalars are seldom met twice. */
const LONGEST_SEEN = 64;

/** Keys and plain scalars, by a hash of them; shared by documents, as the same few come again and again. Of no consequence but speed. */
export interface Seen {
  readonly keys: (string | undefined)[];
  readonly values: ({ readonly source: string; readonly value: unknown } | undefined)[];
}

export function nothingSeen(): Seen {
  return { keys: new Array(SLOTS), values: new Array(SLOTS) };
}

function slotOf(text: string, start: number, end: number): number {
  const middle = text.charCodeAt((start + end) >> 1);
  return (((end - start) << 7) ^ (text.charCodeAt(start) << 5) ^ (middle << 2) ^ text.charCodeAt(end - 1)) & (SLOTS - 1);
}

/** The value of a document, or LEFT_ALONE. */
export function parseFast(text: string, seen: Seen = nothingSeen()): unknown {
  if (/[^\n\x20-\x7e]|^(?:---|\.\.\.)/m.test(text)) return LEFT_ALONE;
  try {
    return new FastParser(text, seen).document();
  } catch (error) {
    if (error === BAIL) return LEFT_ALONE;
    throw error;
  }
}

/** Characters that a plain scalar can't begin with, or that begin something other than a scalar. */
const INDICATORS: ReadonlySet<number> = new Set([...',[]{}#&*!|>\'"%@`'].map((character) => character.charCodeAt(0)));

class FastParser {
  readonly #text: string;
  readonly #seen: Seen;
  #at = 0;
  /** Column of the first character of the current line or, within `- `, of the content behind it. */
  #indent = 0;
  #depth = 0;

  constructor(text: string, seen: Seen) {
    this.#text = text;
    this.#seen = seen;
  }

  document(): unknown {
    // The text begins a line, or stands behind the `---` of one.
    this.#skipLines(0);
    if (this.#at >= this.#text.length) return null;
    const code = this.#text.charCodeAt(this.#at);
    const indent = this.#indent;
    const value = code === OPEN_MAP || code === OPEN_LIST ? this.#flowLine(indent - 1) : this.#block(indent);
    if (this.#at < this.#text.length) throw BAIL;
    return value;
  }

  /** Goes from the end of a value to the first character of the next line that holds something. */
  #nextLine(): void {
    const text = this.#text;
    let at = this.#at;
    while (text.charCodeAt(at) === SPACE) at++;
    if (at < text.length) {
      const code = text.charCodeAt(at);
      if (code === HASH && at > this.#at) {
        const end = text.indexOf('\n', at);
        at = end < 0 ? text.length : end;
      } else if (code !== NEWLINE) throw BAIL;
    }
    this.#skipLines(at + 1);
  }

  /** From the start of a line to the first line that holds something. */
  #skipLines(start: number): void {
    const text = this.#text;
    let line = start;
    for (;;) {
      let at = line;
      while (text.charCodeAt(at) === SPACE) at++;
      const code = text.charCodeAt(at);
      if (code === NEWLINE) line = at + 1;
      else if (code === HASH) {
        const end = text.indexOf('\n', at);
        if (end < 0) {
          this.#at = text.length;
          this.#indent = -1;
          return;
        }
        line = end + 1;
      } else {
        this.#at = Math.min(at, text.length);
        this.#indent = at >= text.length ? -1 : at - line;
        return;
      }
    }
  }

  #isDash(): boolean {
    if (this.#text.charCodeAt(this.#at) !== DASH) return false;
    return this.#isGap(this.#at + 1);
  }

  /** Whether a space or the end of the line is here. */
  #isGap(at: number): boolean {
    const code = this.#text.charCodeAt(at);
    return code === SPACE || code === NEWLINE || at >= this.#text.length;
  }

  #block(indent: number): unknown {
    if (++this.#depth > DEEPEST) throw BAIL;
    const value = this.#isDash() ? this.#sequence(indent) : this.#mapping(indent);
    this.#depth--;
    return value;
  }

  #sequence(indent: number): unknown[] {
    const items: unknown[] = [];
    while (this.#indent === indent && this.#isDash()) {
      this.#at++;
      const gap = this.#at;
      while (this.#text.charCodeAt(this.#at) === SPACE) this.#at++;
      const code = this.#text.charCodeAt(this.#at);
      if (this.#at >= this.#text.length || code === NEWLINE || code === HASH) {
        this.#nextLine();
        items.push(this.#indent > indent ? this.#block(this.#indent) : null);
      } else if (code === OPEN_MAP || code === OPEN_LIST) {
        items.push(this.#flowLine(indent));
      } else {
        const column = indent + 1 + (this.#at - gap);
        if (this.#isDash() || this.#isKey()) {
          this.#indent = column;
          items.push(this.#block(column));
        } else items.push(this.#scalarLine());
      }
      if (this.#indent > indent) throw BAIL;
    }
    return items;
  }

  /** Whether the rest of the line begins with a key. */
  #isKey(): boolean {
    const text = this.#text;
    const code = text.charCodeAt(this.#at);
    if (code === QUOTE || code === APOSTROPHE) {
      const start = this.#at;
      this.#quoted();
      let at = this.#at;
      this.#at = start;
      while (text.charCodeAt(at) === SPACE) at++;
      return text.charCodeAt(at) === COLON;
    }
    for (let at = this.#at; at < text.length; at++) {
      const here = text.charCodeAt(at);
      if (here === NEWLINE) return false;
      if (here === COLON && this.#isGap(at + 1)) return true;
    }
    return false;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #mapping(indent: number): Record<string, unknown> {
    const text = this.#text;
    const out: Record<string, unknown> = {};
    for (let count = 1; ; count++) {
      const key = this.#key();
      while (text.charCodeAt(this.#at) === SPACE) this.#at++;
      const code = text.charCodeAt(this.#at);
      if (this.#at >= text.length || code === NEWLINE || code === HASH) {
        this.#nextLine();
        if (this.#indent > indent) out[key] = this.#block(this.#indent);
        else out[key] = this.#indent === indent && this.#isDash() ? this.#sequence(indent) : null;
      } else {
        out[key] = code === OPEN_MAP || code === OPEN_LIST ? this.#flowLine(indent) : this.#scalarLine();
      }
      if (this.#indent < indent) {
        if (Object.keys(out).length !== count) throw BAIL;
        return out;
      }
      if (this.#indent > indent || this.#isDash()) throw BAIL;
    }
  }

  /** A key and its colon. */
  #key(): string {
    const text = this.#text;
    const first = text.charCodeAt(this.#at);
    let key: string;
    if (first === QUOTE || first === APOSTROPHE) {
      key = this.#quotedKey();
      if (text.charCodeAt(this.#at) !== COLON || !this.#isGap(this.#at + 1)) throw BAIL;
    } else {
      let colon = this.#at;
      for (let code = first; code !== COLON || !this.#isGap(colon + 1); code = text.charCodeAt(++colon)) {
        if (code === NEWLINE || colon >= text.length) throw BAIL;
      }
      key = this.#plainKey(this.#at, colon);
      this.#at = colon;
    }
    this.#at++;
    return key;
  }

  /** Keys become strings; a key that would be written another way as the value it stands for is left alone. */
  #plainKey(start: number, end: number): string {
    const text = this.#text;
    while (end > start && text.charCodeAt(end - 1) === SPACE) end--;
    // The same few keys come again and again: one that was seen is taken without making a string of the text.
    const slot = slotOf(text, start, end);
    const seen = this.#seen.keys[slot];
    if (seen !== undefined && seen.length === end - start && text.startsWith(seen, start)) return seen;
    const key = text.slice(start, end);
    if (key.includes(': ') || key.includes(' #') || key.endsWith(':')) throw BAIL;
    const value = this.#value(start, end);
    if (typeof value !== 'string' && String(value) !== key) throw BAIL;
    this.#seen.keys[slot] = ordinary(key);
    return key;
  }

  #quotedKey(): string {
    return ordinary(this.#quoted());
  }

  /** A scalar that takes the rest of the line. */
  #scalarLine(): unknown {
    const text = this.#text;
    const first = text.charCodeAt(this.#at);
    let value: unknown;
    if (first === QUOTE || first === APOSTROPHE) value = this.#quoted();
    else {
      const start = this.#at;
      let end = start;
      for (; end < text.length; end++) {
        const code = text.charCodeAt(end);
        if (code > COLON) continue;
        if (code === NEWLINE || (code === HASH && text.charCodeAt(end - 1) === SPACE)) break;
        if (code === COLON && this.#isGap(end + 1)) throw BAIL;
      }
      value = this.#value(start, end);
      this.#at = text.charCodeAt(end) === HASH ? this.#lineEnd() : end;
    }
    this.#nextLine();
    return value;
  }

  /** The value of the plain scalar from `start` to `end`, within which neither a key nor a comment was seen. */
  #value(start: number, end: number): unknown {
    const text = this.#text;
    while (end > start && text.charCodeAt(end - 1) === SPACE) end--;
    const length = end - start;
    const first = text.charCodeAt(start);
    if (length === 0 || INDICATORS.has(first)) throw BAIL;
    // `-`, `?` and `:` begin a scalar only if something that is no space follows.
    if ((first === DASH || first === QUESTION || first === COLON) && (length === 1 || text.charCodeAt(start + 1) === SPACE)) throw BAIL;
    if (length > LONGEST_SEEN) return resolve(text.slice(start, end), first);
    const slot = slotOf(text, start, end);
    const seen = this.#seen.values[slot];
    if (seen !== undefined && seen.source.length === length && text.startsWith(seen.source, start)) return seen.value;
    const source = text.slice(start, end);
    const value = resolve(source, first);
    this.#seen.values[slot] = { source, value };
    return value;
  }

  /** A quoted scalar on one line. */
  #quoted(): string {
    const text = this.#text;
    const quote = text.charCodeAt(this.#at);
    const start = this.#at + 1;
    let escaped = false;
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === NEWLINE) throw BAIL;
      if (code === 92 && quote === QUOTE) {
        escaped = true;
        at++;
      } else if (code === quote) {
        if (quote === APOSTROPHE && text.charCodeAt(at + 1) === APOSTROPHE) {
          escaped = true;
          at++;
          continue;
        }
        this.#at = at + 1;
        const inner = text.slice(start, at);
        if (!escaped) return inner;
        return quote === APOSTROPHE ? inner.replaceAll("''", "'") : unescape(inner);
      }
    }
    throw BAIL;
  }

  /** A flow collection, then the end of the line. */
  #flowLine(indent: number): unknown {
    const value = this.#flow(indent);
    this.#nextLine();
    return value;
  }

  #flow(indent: number): unknown {
    if (++this.#depth > DEEPEST) throw BAIL;
    const value = this.#text.charCodeAt(this.#at) === OPEN_MAP ? this.#flowMapping(indent) : this.#flowSequence(indent);
    this.#depth--;
    return value;
  }

  #flowSequence(indent: number): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    for (;;) {
      this.#flowSpace(indent);
      if (this.#text.charCodeAt(this.#at) === CLOSE_LIST) break;
      items.push(this.#flowValue(indent));
      if (this.#flowNext(indent, CLOSE_LIST)) break;
    }
    this.#at++;
    return items;
  }

  #flowMapping(indent: number): Record<string, unknown> {
    const text = this.#text;
    const out: Record<string, unknown> = {};
    let count = 0;
    this.#at++;
    for (;;) {
      this.#flowSpace(indent);
      const first = text.charCodeAt(this.#at);
      if (first === CLOSE_MAP) break;
      const quoted = first === QUOTE || first === APOSTROPHE;
      const start = this.#at;
      const key = quoted ? this.#quotedKey() : this.#plainKey(start, this.#flowPlainEnd());
      if (text.charCodeAt(this.#at) !== COLON) throw BAIL;
      this.#at++;
      if (!quoted && !this.#isGap(this.#at)) throw BAIL;
      this.#flowSpace(indent);
      out[key] = this.#flowValue(indent);
      count++;
      if (this.#flowNext(indent, CLOSE_MAP)) break;
    }
    this.#at++;
    // Of a key given twice there is one less.
    if (Object.keys(out).length !== count) throw BAIL;
    return out;
  }

  /** True at the end of the collection, false behind a comma. */
  #flowNext(indent: number, close: number): boolean {
    this.#flowSpace(indent);
    const code = this.#text.charCodeAt(this.#at);
    if (code === close) return true;
    if (code !== COMMA) throw BAIL;
    this.#at++;
    return false;
  }

  #flowValue(indent: number): unknown {
    const code = this.#text.charCodeAt(this.#at);
    if (code === OPEN_MAP || code === OPEN_LIST) return this.#flow(indent);
    if (code === QUOTE || code === APOSTROPHE) {
      const value = this.#quoted();
      // A quoted key of a single pair.
      if (this.#text.charCodeAt(this.#at) === COLON) throw BAIL;
      return value;
    }
    const start = this.#at;
    return this.#value(start, this.#flowPlainEnd());
  }

  /** Goes to what ends a plain scalar in a flow collection: an indicator, or a colon before a space. */
  #flowPlainEnd(): number {
    const text = this.#text;
    for (let at = this.#at; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > COLON && code < OPEN_LIST) continue;
      if (code === COMMA || code === CLOSE_LIST || code === CLOSE_MAP || code === OPEN_LIST || code === OPEN_MAP || code === NEWLINE) {
        this.#at = at;
        return at;
      }
      if (code === COLON) {
        const next = text.charCodeAt(at + 1);
        if (next === COMMA || next === CLOSE_LIST || next === CLOSE_MAP || next === OPEN_LIST || next === OPEN_MAP) throw BAIL;
        if (this.#isGap(at + 1)) {
          this.#at = at;
          return at;
        }
      } else if (code === HASH && text.charCodeAt(at - 1) === SPACE) throw BAIL;
    }
    throw BAIL;
  }

  /** Spaces and line ends within a flow collection; its further lines must stand deeper than the block around it. */
  #flowSpace(indent: number): void {
    const text = this.#text;
    for (;;) {
      while (text.charCodeAt(this.#at) === SPACE) this.#at++;
      if (text.charCodeAt(this.#at) !== NEWLINE) break;
      const line = this.#at + 1;
      this.#at = line;
      while (text.charCodeAt(this.#at) === SPACE) this.#at++;
      if (this.#at - line <= indent) throw BAIL;
    }
    if (this.#at >= text.length || text.charCodeAt(this.#at) === HASH) throw BAIL;
  }
}

const NUMBER = /^[-+]?(?:\d+|\d*\.\d+|\d+\.\d*)(?:[eE][-+]?\d+)?$/;
const CONSTANTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['~', null],
  ['null', null],
  ['Null', null],
  ['NULL', null],
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
]);

/** YAML's core schema (1.2, section 10.3.2). */
function resolve(source: string, first: number): unknown {
  // Digits, signs and dots.
  if ((first >= 48 && first <= 57) || first === 45 || first === 43 || first === 46) {
    if (NUMBER.test(source)) return Number(source);
    // Other bases, infinities and NaN are rare and have many spellings: the complete parser reads them.
    if (/^[-+]?(?:0[xo]|\.[a-zA-Z])/.test(source)) throw BAIL;
    return source;
  }
  if (source.length <= 5) {
    const constant = CONSTANTS.get(source);
    if (constant !== undefined) return constant;
  }
  return source;
}

/** Double-quoted text whose escapes JSON has too; others are left alone. */
function unescape(inner: string): string {
  try {
    return JSON.parse(`"${inner}"`) as string;
  } catch {
    throw BAIL;
  }
}

/** A key that stands for itself alone: no merge, and no property that assignment treats otherwise. */
function ordinary(key: string): string {
  if (key === '<<' || key === '__proto__') throw BAIL;
  return key;
}
