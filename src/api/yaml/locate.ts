/**
 * Finds the place of one field in a text that the fast parser accepted, by walking to it and stepping over everything else. What is unusual
 * it leaves to Positions, which reads the whole document; locate.test.ts holds one against the other.
 */
import type { PathStep } from '../resource.ts';
import { APOSTROPHE, CLOSE_LIST, CLOSE_MAP, COLON, COMMA, DASH, HASH, NEWLINE, OPEN_LIST, OPEN_MAP, QUOTE, SPACE } from './chars.ts';

/** Offsets of a value and of the key that names it. */
interface Located {
  readonly start: number;
  readonly key: number;
}

/** The node at which the walk is. */
interface Spot extends Located {
  /** The column of a block's first character. Undefined if the node is on one line or in brackets. */
  readonly column?: number;
}

/** The value at `path`, or the deepest part of the path that the text has; undefined where only a complete reading can tell. */
export function locate(text: string, path: readonly PathStep[]): Located | undefined {
  const line = nextLine(text, 0);
  if (line === undefined) return undefined;
  let spot: Spot = { start: line.at, key: line.at, column: line.indent };
  for (const step of path) {
    const next = child(text, spot, step);
    if (next === 'unclear') return undefined;
    if (next === 'absent') break;
    spot = next;
  }
  return spot;
}

type Child = Spot | 'absent' | 'unclear';

function child(text: string, { start, column }: Spot, step: PathStep): Child {
  const code = text.charCodeAt(start);
  if (code === OPEN_MAP) return typeof step === 'string' ? inFlowMapping(text, start, step) : 'absent';
  if (code === OPEN_LIST) return typeof step === 'number' ? inFlowSequence(text, start, step) : 'absent';
  if (column === undefined) return 'absent';
  if (isDash(text, start)) return typeof step === 'number' ? inSequence(text, start, column, step) : 'absent';
  return typeof step === 'string' ? inMapping(text, start, column, step) : 'absent';
}

interface Line {
  /** Column of the first character that is no space. */
  readonly at: number;
  readonly indent: number;
}

/** The first line from `start` (the beginning of a line, or behind `---`) that holds something. */
function nextLine(text: string, start: number): Line | undefined {
  for (let line = start; line < text.length; ) {
    let at = line;
    while (text.charCodeAt(at) === SPACE) at++;
    const code = text.charCodeAt(at);
    if (at < text.length && code !== NEWLINE && code !== HASH) return { at, indent: at - line };
    const end = text.indexOf('\n', at);
    if (end < 0) return undefined;
    line = end + 1;
  }
  return undefined;
}

/** The next line that stands no deeper than `column`. */
function nextAt(text: string, from: number, column: number): Line | undefined {
  for (let at = from; ; ) {
    const end = text.indexOf('\n', at);
    const line = end < 0 ? undefined : nextLine(text, end + 1);
    if (!line || line.indent <= column) return line;
    at = line.at;
  }
}

function inMapping(text: string, start: number, column: number, name: string): Child {
  for (let at = start; ; ) {
    const key = keyAt(text, at);
    if (!key) return 'unclear';
    if (key.name === name) return valueOf(text, at, key.end, column);
    let line = nextAt(text, key.end, column);
    // A list may have the same indentation as the key that it belongs to.
    while (line && line.indent === column && isDash(text, line.at)) line = nextAt(text, line.at, column);
    if (!line || line.indent < column) return 'absent';
    at = line.at;
  }
}

/** The value after the colon of a block mapping's key. */
function valueOf(text: string, key: number, colon: number, column: number): Child {
  let at = colon + 1;
  while (text.charCodeAt(at) === SPACE) at++;
  const code = text.charCodeAt(at);
  if (at < text.length && code !== NEWLINE && code !== HASH) return { start: at, key };
  const end = text.indexOf('\n', at);
  const line = end < 0 ? undefined : nextLine(text, end + 1);
  if (line && (line.indent > column || (line.indent === column && isDash(text, line.at))))
    return { start: line.at, key, column: line.indent };
  // An absent value has no place of its own: its key's is the nearest.
  return { start: key, key };
}

function inSequence(text: string, start: number, column: number, index: number): Child {
  let at = start;
  for (let count = 0; count < index; count++) {
    const line = nextAt(text, at, column);
    if (!line || line.indent < column || !isDash(text, line.at)) return 'absent';
    at = line.at;
  }
  const gap = at + 1;
  let item = gap;
  while (text.charCodeAt(item) === SPACE) item++;
  const code = text.charCodeAt(item);
  if (item >= text.length || code === NEWLINE || code === HASH) {
    const end = text.indexOf('\n', item);
    const line = end < 0 ? undefined : nextLine(text, end + 1);
    return line && line.indent > column ? { start: line.at, key: line.at, column: line.indent } : 'unclear';
  }
  const block = code !== OPEN_MAP && code !== OPEN_LIST && (isDash(text, item) || keyAt(text, item) !== undefined);
  return { start: item, key: item, ...(block && { column: column + 1 + (item - gap) }) };
}

function isDash(text: string, at: number): boolean {
  return text.charCodeAt(at) === DASH && isGap(text, at + 1);
}

function isGap(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === SPACE || code === NEWLINE || at >= text.length;
}

/** The key of a block mapping at `at`, and where its colon is. */
function keyAt(text: string, at: number): { readonly name: string; readonly end: number } | undefined {
  const first = text.charCodeAt(at);
  if (first === QUOTE || first === APOSTROPHE) {
    const close = quoteEnd(text, at);
    const name = text.slice(at + 1, close - 1);
    // A name with escapes is left to the complete reading.
    if (name.includes(first === QUOTE ? '\\' : "'")) return undefined;
    let end = close;
    while (text.charCodeAt(end) === SPACE) end++;
    return text.charCodeAt(end) === COLON && isGap(text, end + 1) ? { name, end } : undefined;
  }
  for (let end = at; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === NEWLINE) return undefined;
    if (code === COLON && isGap(text, end + 1)) return { name: text.slice(at, end).trimEnd(), end };
  }
  return undefined;
}

function inFlowMapping(text: string, start: number, name: string): Child {
  for (let at = flowSpace(text, start + 1); text.charCodeAt(at) !== CLOSE_MAP; ) {
    const key = at;
    const first = text.charCodeAt(at);
    const quoted = first === QUOTE || first === APOSTROPHE;
    const end = quoted ? quoteEnd(text, at) : plainEnd(text, at);
    const written = quoted ? text.slice(at + 1, end - 1) : text.slice(at, end).trimEnd();
    if (quoted && written.includes(first === QUOTE ? '\\' : "'")) return 'unclear';
    if (text.charCodeAt(end) !== COLON) return 'unclear';
    const value = flowSpace(text, end + 1);
    if (written === name) return { start: value, key };
    at = flowNext(text, value);
    if (at < 0) return 'unclear';
  }
  return 'absent';
}

function inFlowSequence(text: string, start: number, index: number): Child {
  let at = flowSpace(text, start + 1);
  for (let count = 0; text.charCodeAt(at) !== CLOSE_LIST; count++) {
    if (count === index) return { start: at, key: at };
    at = flowNext(text, at);
    if (at < 0) return 'unclear';
  }
  return 'absent';
}

/** From the start of a value to that of the next, or to the bracket that closes; -1 at the end of the text. */
function flowNext(text: string, value: number): number {
  let at = flowSpace(text, valueEnd(text, value));
  if (text.charCodeAt(at) === COMMA) at = flowSpace(text, at + 1);
  return at < text.length ? at : -1;
}

function valueEnd(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE || first === APOSTROPHE) return quoteEnd(text, start);
  if (first !== OPEN_MAP && first !== OPEN_LIST) return plainEnd(text, start);
  for (let at = flowSpace(text, start + 1); at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === CLOSE_MAP || code === CLOSE_LIST) return at + 1;
    at = flowSpace(text, code === COMMA || code === COLON ? at + 1 : valueEnd(text, at));
  }
  return text.length;
}

/** Behind the quote that closes. */
function quoteEnd(text: string, start: number): number {
  const quote = text.charCodeAt(start);
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92 && quote === QUOTE) at++;
    else if (code === quote) {
      if (quote !== APOSTROPHE || text.charCodeAt(at + 1) !== APOSTROPHE) return at + 1;
      at++;
    }
  }
  return text.length;
}

/** Where a plain scalar in brackets ends. */
function plainEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === NEWLINE || code === OPEN_LIST || code === CLOSE_LIST || code === OPEN_MAP || code === CLOSE_MAP)
      return at;
    if (code === COLON && isGap(text, at + 1)) return at;
  }
  return text.length;
}

function flowSpace(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code === SPACE || code === NEWLINE; code = text.charCodeAt(at)) at++;
  return at;
}
