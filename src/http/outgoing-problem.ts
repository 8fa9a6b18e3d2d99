/**
 * What filters and formats put into a request was read by no parser: claims of tokens and answers of authorizers may hold anything, a line break that
 * would begin another field among it. Such a request is not sent.
 */

import { table } from '../lib/table.ts';
import { consistsOf, FIELD_VALUE, TOKEN } from './h1/chars.ts';
import type { Head } from './head.ts';

/** Fields that say where a message ends, or what becomes of its connection: only whoever frames the message knows. */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Whether somebody who does not frame the message may set the field (lower case). */
export function mayBeSet(name: string): boolean {
  return !FRAMING.has(name);
}

/** Whether a field can be written as it is; `value` as bytes of latin1. */
export function isField(name: string, value: string): boolean {
  return name !== '' && consistsOf(name, TOKEN) && isFieldValue(value);
}

export function isFieldValue(value: string): boolean {
  return consistsOf(value, FIELD_VALUE);
}

/** A text as the bytes of a field, UTF-8, each of which is a character here. */
export function fieldBytes(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Why the head cannot be sent, in Envoy's words; undefined if it can. */
export function outgoingProblem({ method, path, authority, headers: { flat } }: Head): string | undefined {
  if (method === '' || !consistsOf(method, TOKEN)) return 'invalid header value for: :method';
  if (!isFieldValueWithoutSpace(path)) return 'invalid header value for: :path';
  if (!isFieldValueWithoutSpace(authority)) return 'invalid header value for: :authority';
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === '' || !consistsOf(flat[i]!, TOKEN)) return `invalid header name: ${flat[i]!.replace(/[^\x20-\x7e]/g, escaped)}`;
    if (!isFieldValue(flat[i + 1]!)) return `invalid header value for: ${flat[i]}`;
  }
  return undefined;
}

/** Targets and hosts that came over HTTP/2 may have bytes above ASCII. */
function isFieldValueWithoutSpace(text: string): boolean {
  return isFieldValue(text) && !/[ \t]/.test(text);
}

const NAMED: Readonly<Record<string, string>> = table({ '\r': '\\r', '\n': '\\n', '\t': '\\t' });

function escaped(character: string): string {
  return NAMED[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
