/** What every answer of the console has in its head, and how plain ones are sent. */
import type { ServerResponse } from 'node:http';
import { codeOf, messageOf } from '../lib/errors.ts';
import { table } from '../lib/table.ts';
import type { Problem } from './model.ts';

/** Nothing is loaded from elsewhere, nothing inline runs, and no other page may frame this one (CSP 3). */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const HEADERS = table<string>({
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
});

/** Of the page on which a token is entered: its form is sent to where it came from, and without a referrer a browser would not say that it is of here (Fetch, 4.6). */
export const FORM_HEADERS = table<string>({
  ...HEADERS,
  'content-security-policy': POLICY.replace("form-action 'none'", "form-action 'self'"),
  'referrer-policy': 'same-origin',
});

const STATUS = table<number>({
  'no-session': 401,
  'token-used': 401,
  'sees-nothing': 403,
  'not-seen': 403,
  'not-reviewed': 503,
  usage: 400,
  'path-not-found': 404,
  'no-such-file': 404,
  'no-such-page': 404,
  method: 405,
  'no-such-proxy': 404,
  'no-such-workload': 404,
  'no-such-finding': 404,
  'no-mend': 409,
  'not-learning': 409,
  'no-resources': 409,
  changed: 409,
  outside: 403,
  'not-writable': 403,
  'read-only': 403,
  'too-large': 413,
  busy: 503,
  'took-too-long': 503,
});

export function problemOf(error: unknown): Problem {
  return { code: codeOf(error) ?? 'internal', message: messageOf(error) };
}

export function statusOf(error: unknown): number {
  return STATUS[problemOf(error).code] ?? 500;
}

/** Says what is wrong, where that can still be said. */
export function fail(response: ServerResponse, error: unknown): void {
  const { code, message } = problemOf(error);
  if (response.headersSent) response.destroy();
  else refuse(response, statusOf(error), code, message);
}

export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { code, message } satisfies Problem);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { ...HEADERS, 'content-type': 'application/json; charset=UTF-8' });
  response.end(`${JSON.stringify(body)}\n`);
}
