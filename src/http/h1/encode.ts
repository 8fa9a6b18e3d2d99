/** Writes the heads of HTTP/1 messages. Values come from parsed heads or from configuration that was checked, so nothing is escaped here. */

import { STATUS_CODES } from '../../lib/node-http.ts';
import type { HeaderMap } from '../header-map.ts';

const STATUS_LINES: string[] = [];
for (let status = 100; status < 1000; status++) STATUS_LINES[status] = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;

export const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
export const LAST_CHUNK = '0\r\n\r\n';

/** `minor`: the version that the client speaks. */
export function statusLine(status: number, minor: number): string {
  const line = STATUS_LINES[status] ?? `HTTP/1.1 ${status} Unknown\r\n`;
  return minor === 1 ? line : line.replace('HTTP/1.1', 'HTTP/1.0');
}

export interface OutgoingRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: HeaderMap;
  /** As Head has it. */
  readonly upgrade: string;
}

/** The head of a request, its empty line included. `end`: nothing follows; `chunked`: a body of unknown length does. */
export function encodeRequest({ method, path, authority, headers, upgrade }: OutgoingRequest, end: boolean, chunked: boolean): string {
  const { flat } = headers;
  let text = `${method} ${path === '' ? authority : path} HTTP/1.1\r\nhost: ${authority}\r\n`;
  let framed = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!;
    if (name === 'content-length') framed = true;
    text += `${name}: ${flat[i + 1]}\r\n`;
  }
  if (upgrade !== '' && upgrade !== 'connect') text += `connection: Upgrade\r\nupgrade: ${upgrade}\r\n`;
  else if (chunked) text += 'transfer-encoding: chunked\r\n';
  else if (end && upgrade === '' && !framed && !bodyIsUnusual(method)) text += 'content-length: 0\r\n';
  return `${text}\r\n`;
}

/** Whether the body of a request goes out in chunks: nothing says how long it is. */
export function needsChunks({ headers, upgrade }: OutgoingRequest, end: boolean): boolean {
  return !end && upgrade === '' && !headers.has('content-length');
}

/** All fields, each with its line end. */
export function encodeFields(headers: HeaderMap): string {
  const { flat } = headers;
  let text = '';
  for (let i = 0; i < flat.length; i += 2) text += `${flat[i]}: ${flat[i + 1]}\r\n`;
  return text;
}

/** The last chunk with trailer fields. */
export function encodeTrailers(trailers: HeaderMap): string {
  return `0\r\n${encodeFields(trailers)}\r\n`;
}

/** Requests of these methods usually have no body: without one they go without content-length (RFC 9110 §8.6). */
function bodyIsUnusual(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'TRACE' || method === 'CONNECT';
}

/** Responses that have no body whatever their fields say, apart from answers to HEAD and CONNECT (RFC 9112 §6.3). */
export function statusHasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
