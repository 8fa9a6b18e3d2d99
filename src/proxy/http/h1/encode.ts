/** Writes the heads of HTTP/1 messages. Values come from parsed heads or from configuration that was checked, so nothing is escaped here. */

import type { HeaderMap } from '../../../http/header-map.ts';
import { STATUS_CODES } from '../../../lib/node-http.ts';

const STATUS_LINES: string[] = [];
for (let status = 100; status < 1000; status++) STATUS_LINES[status] = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;

export const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
export const LAST_CHUNK = '0\r\n\r\n';

/** `minor`: the version that the client speaks. */
export function statusLine(status: number, minor: number): string {
  const line = STATUS_LINES[status] ?? `HTTP/1.1 ${status} Unknown\r\n`;
  return minor === 1 ? line : line.replace('HTTP/1.1', 'HTTP/1.0');
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
export function bodyIsUnusual(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'TRACE' || method === 'CONNECT';
}

/** Responses that have no body whatever their fields say, apart from answers to HEAD and CONNECT (RFC 9112 §6.3). */
export function statusHasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
