/** Against an authorization server that holds clients to RFC 6749. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate } from '../../../../test/integration/outside.ts';
import { needs } from '../../../../test/integration/tools.ts';
import type { Source, Value } from '../../../lib/credential-value.ts';
import { sourceOf } from './sources.ts';

const SECRET = 's3cret: +%é-canary'.replace('é', 'e');
const ID = 'client:one';

interface Server {
  readonly tokenEndpoint: string;
  readonly ca: string;
  readonly forms: URLSearchParams[];
  /** What it answers beside `access_token` and `token_type`, or by itself. */
  answer: (n: number, response: ServerResponse) => object | undefined;
}

/** Answers `invalid_client` where client and secret are not as §2.3.1 has them, and `invalid_request` where the request is not as §4.4.2 has it. */
async function authorizationServer(t: TestContext, plain = false): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-oauth2-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const certificate = makeCertificate('localhost');
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    for await (const part of request) body += part;
    const form = new URLSearchParams(body);
    const refuse = (status: number, error: string) => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error, error_description: `${SECRET} ${body}` }));
    };
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/x-www-form-urlencoded')
      refuse(400, 'invalid_request');
    else if (form.get('grant_type') !== 'client_credentials') refuse(400, 'unsupported_grant_type');
    else if (!isClient(request.headers.authorization, form)) refuse(401, 'invalid_client');
    else {
      server.forms.push(form);
      const more = server.answer(server.forms.length, response);
      const token = { access_token: `token-${server.forms.length}`, token_type: 'Bearer', ...more };
      if (more) response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(token));
    }
  };
  const listening = plain ? createServer(listener) : createSecureServer({ ...certificate }, listener);
  await once(listening.listen(0, 'localhost'), 'listening');
  t.after(() => listening.close());
  const tokenEndpoint = `${plain ? 'http' : 'https'}://localhost:${(listening.address() as AddressInfo).port}/token?tenant=1`;
  const server: Server = { tokenEndpoint, ca, forms: [], answer: () => ({ expires_in: 3600 }) };
  return server;
}

function isClient(authorization: string | undefined, form: URLSearchParams): boolean {
  if (authorization === undefined) return form.get('client_id') === ID && form.get('client_secret') === SECRET;
  const [user, password] = Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
    .toString()
    .split(':') as [string, string];
  const plain = (text: string) => new URLSearchParams(`x=${text}`).get('x');
  return plain(user) === ID && plain(password) === SECRET && !form.has('client_secret');
}

interface Asking {
  readonly clock: { ms: number };
  readonly source: Source;
  readonly ask: () => Promise<string>;
}

function asking({ tokenEndpoint, ca }: Server, more: object = {}): Asking {
  const clock = { ms: 0 };
  const oauth2 = { tokenEndpoint, ca, clientId: ID, clientSecret: { environment: 'OAUTH' }, scopes: [], parameters: {}, ...more };
  const options = { environment: { OAUTH: SECRET }, now: () => clock.ms, date: () => clock.ms, signal: new AbortController().signal };
  const source = sourceOf({ from: { command: [], oauth2 } }, options);
  const ask = () =>
    new Promise<string>((resolve) => source((value: Value) => resolve('problem' in value ? `no: ${value.problem}` : value.revealText())));
  return { clock, source, ask };
}

/** Once the server has given out so many tokens, and they have been taken in. */
async function given({ ask }: Asking, token: string): Promise<void> {
  while ((await ask()) !== token) await new Promise((resolve) => setImmediate(resolve));
}

const skip = needs('openssl');

test('one request for many calls, with scope and parameters; client and secret in either place', { skip }, async (t) => {
  const server = await authorizationServer(t);
  const scoped = asking(server, { scopes: ['read', 'write:all'], parameters: { audience: 'https://api.example' } });
  assert.deepEqual(await Promise.all(Array.from({ length: 50 }, scoped.ask)), Array(50).fill('token-1'));
  assert.equal(String(server.forms[0]), 'grant_type=client_credentials&scope=read+write%3Aall&audience=https%3A%2F%2Fapi.example');
  assert.equal(await asking(server, { authentication: 'body' }).ask(), 'token-2');
  const near = await authorizationServer(t, true);
  assert.equal(await asking(near).ask(), 'token-1');
});

test('a token is renewed before its end while calls go on with it; where that fails it holds to its end, and then closes', {
  skip,
}, async (t) => {
  const server = await authorizationServer(t);
  const asked = asking(server);
  assert.equal(await asked.ask(), 'token-1');
  asked.clock.ms = 3_539_000;
  assert.equal(await asked.ask(), 'token-1');
  assert.equal(server.forms.length, 1);
  asked.clock.ms = 3_541_000;
  assert.equal(await asked.ask(), 'token-1');
  await given(asked, 'token-2');
  assert.equal(server.forms.length, 2);
  server.answer = (_, response) => void response.writeHead(503).end(SECRET);
  asked.clock.ms += 3_550_000;
  assert.equal(await asked.ask(), 'token-2');
  asked.clock.ms += 39_000;
  assert.equal(await asked.ask(), 'token-2');
  asked.clock.ms += 1_002_000;
  assert.match(await asked.ask(), /^no: the token endpoint https:\/\/localhost:\d+\/token\?tenant=1 answers 503$/);
  server.answer = () => ({ expires_in: '60' });
  asked.clock.ms += 1001;
  await given(asked, `token-${server.forms.length + 1}`);
});

test('a secret that is replaced is the next request’s; one that is gone closes once no token holds', { skip }, async (t) => {
  const server = await authorizationServer(t);
  const file = `${server.ca}.secret`;
  writeFileSync(file, 'another');
  const { ask, clock } = asking(server, { clientSecret: { file } });
  assert.match(await ask(), /answers 401 \(invalid_client\)$/);
  writeFileSync(file, `${SECRET}\n`);
  clock.ms = 1001;
  assert.equal(await ask(), 'token-1');
  rmSync(file);
  clock.ms += 3_580_000;
  assert.equal(await ask(), 'token-1');
  clock.ms += 11_000;
  assert.match(await ask(), /\.secret cannot be read: ENOENT$/);
});

test('what is no token closes, is not asked for at each call, and nothing of what was sent or answered is said', { skip }, async (t) => {
  const server = await authorizationServer(t);
  for (const [answer, expected] of [
    [{ token_type: 'mac' }, /answers with a token that is no bearer token$/],
    [{ access_token: 7 }, /answers without an access_token$/],
    [{ access_token: `${SECRET}\r\nx: 1` }, /holds other characters than printable ASCII/],
    [{ expires_in: 0 }, /a token that has expired$/],
    [{ expires_in: 'soon' }, /a token that has expired$/],
    [{ more: SECRET.repeat(5000) }, /answers with more than 65536 bytes$/],
    [(response: ServerResponse) => void response.writeHead(302, { location: '/elsewhere' }).end(), /answers 302$/],
    [(response: ServerResponse) => void response.end(SECRET), /answers without an access_token$/],
    [(response: ServerResponse) => void response.destroy(), /socket hang up$/],
    [
      (response: ServerResponse) => void response.writeHead(200, { 'content-length': 900 }).write(SECRET, () => response.destroy()),
      /aborted$/,
    ],
  ] as const) {
    const before = server.forms.length;
    server.answer = (_, response) => (typeof answer === 'function' ? answer(response) : answer);
    const { ask } = asking(server);
    const said = await Promise.all([ask(), ask()]);
    said.push(await ask());
    for (const each of said) {
      assert.match(each, expected);
      assert.ok(!each.includes(SECRET) && !each.includes(encodeURIComponent(SECRET)));
    }
    assert.equal(server.forms.length, before + 1);
  }
  server.answer = () => ({});
  assert.match(await asking(server, { clientId: 'another' }).ask(), /answers 401 \(invalid_client\)$/);
  assert.match(await asking(server, { ca: undefined }).ask(), /self-signed certificate/);
  assert.match(await asking(server, { ca: '/none/such' }).ask(), /ENOENT/);
  const { tokenEndpoint } = server;
  assert.match(
    await asking({ ...server, tokenEndpoint: tokenEndpoint.replace('localhost', '127.0.0.1') }).ask(),
    /does not match certificate/,
  );
});
