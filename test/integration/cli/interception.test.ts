/** `run` that sees through the TLS of hosts that a policy names: requests are held to, credentials go in, and the server is verified as by the client. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createSecureServer, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Certificate, makeCertificate } from '../outside.ts';
import { needs } from '../tools.ts';
import { injectedWorld, skip as noSandbox } from './credentials-world.ts';

const GRPC_CLIENT = join(import.meta.dirname, '../run/grpc-client.mjs');
const SECRET = 'canary-9Lk2bV5nRw';
const skip = noSandbox || needs('openssl', 'curl');

/** A server that speaks HTTP/2 and HTTP/1.1, says which, and echoes gRPC's calls; with the requests that came. Ends with the test. */
async function multiplexedServer(t: TestContext, certificate: Certificate) {
  const requests: string[] = [];
  const server = createSecureServer({ ...certificate, allowHTTP1: true }, (request, response) => {
    requests.push(`${request.httpVersion} ${request.url} ${request.headers.authorization}`);
    if (request.headers['content-type'] !== 'application/grpc') {
      response.end(`over ${request.httpVersion}\n`);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/grpc' });
    request.on('data', (piece: Buffer) => response.write(piece));
    request.on('end', () => {
      (response as Http2ServerResponse).addTrailers({ 'grpc-status': '0' });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, requests };
}

/** A world whose server has a certificate for the names, and the file with its CA. */
async function secureWorld(t: Parameters<typeof injectedWorld>[0], ...names: readonly string[]) {
  const certificate = makeCertificate(...names);
  const world = await injectedWorld(t, { secret: SECRET, certificate });
  const ca = join(world.folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  return { world, ca };
}

test('methods and paths are held to within HTTPS, and credentials go in, over HTTP/1.1 and HTTP/2', { skip }, async (t) => {
  const { world, ca } = await secureWorld(t, 'api.example');
  const { stdout, stderr } = await world.run(
    `curl -sS --http1.1 -w "%{http_code} %{http_version}\\n" https://api.example:PORT/v1/a
     curl -sS --http2 -w "%{http_code} %{http_version}\\n" https://api.example:PORT/v1/b
     curl -sS -o /dev/null -w "%{http_code}\\n" https://api.example:PORT/v2
     curl -sS -o /dev/null -w "%{http_code}\\n" -X POST https://api.example:PORT/v1/a
     curl -sS -o /dev/null -w "%{http_code}\\n" -H 'host: other.example' https://api.example:PORT/v1/a
     node -e 'fetch("https://api.example:PORT/v1/node").then(({ status }) => console.log("node", status))'
     ls "$(dirname "$SSL_CERT_FILE")" | wc -l; cat "$(dirname "$SSL_CERT_FILE")"/* | grep -c PRIVATE`,
    {
      entries: [
        { methods: ['GET'], paths: ['/v1/*'], tls: { intercept: true, ca }, credentials: [{ bearer: true, from: { file: world.file } }] },
      ],
    },
  );
  assert.equal(stdout, 'ok\n200 1.1\nok\n200 2\n403\n403\n502\nnode 200\n2\n0\n', stderr);
  assert.deepEqual(
    world.requests.map(({ url, headers }) => [url, headers.authorization, headers.host]),
    ['/v1/a', '/v1/b', '/v1/node'].map((url) => [url, `Bearer ${SECRET}`, `api.example:${world.port}`]),
  );
});

test('clients that heed no proxy variables are captured, with what they speak: gRPC is HTTP/2 to the server, an upgrade HTTP/1.1', {
  skip,
}, async (t) => {
  const certificate = makeCertificate('api.example');
  const world = await injectedWorld(t, { secret: SECRET, certificate });
  const ca = join(world.folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  const both = await multiplexedServer(t, certificate);
  const intercepted = { tls: { intercept: true, ca }, credentials: [{ bearer: true, from: { file: world.file } }] };
  const { stdout, stderr } = await world.run(
    `unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy grpc_proxy
     export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=$SSL_CERT_FILE
     at=$(node -e 'require("dns").resolve4("api.example", (_, [first]) => console.log(first))')
     call() { curl -sS --resolve "api.example:PORT:$at" --resolve "api.example:${both.port}:$at" -w '%{http_code}\n' "$@"; }
     call https://api.example:PORT/v1/a
     call -o /dev/null https://api.example:PORT/v2
     call https://api.example:${both.port}/v1/b
     call --http1.1 https://api.example:${both.port}/v1/c
     call --http1.1 -H 'connection: upgrade' -H 'upgrade: websocket' https://api.example:${both.port}/v1/upgrade
     node ${GRPC_CLIENT} --tls api.example "$at:${both.port}"`,
    { entries: [{ ...intercepted, paths: ['/v1/*', '/test.Service/*'], ports: [world.port, both.port] }] },
  );
  assert.equal(stdout, 'ok\n200\n403\nover 2.0\n200\nover 2.0\n200\n200\ngRPC works\n', stderr);
  assert.deepEqual(
    [...world.requests.map(({ httpVersion, url, headers }) => `${httpVersion} ${url} ${headers.authorization}`), ...both.requests],
    ['1.1 /v1/a', '2.0 /v1/b', '2.0 /v1/c', '1.1 /v1/upgrade', '2.0 /test.Service/Echo'].map((line) => `${line} Bearer ${SECRET}`),
  );
});

test('no path that a server may read as another gets past paths, nor a credential to it', { skip }, async (t) => {
  const { world, ca } = await secureWorld(t, 'api.example');
  const paths = [
    '../admin',
    '%2e%2e/admin',
    '..%2fadmin',
    '%2e%2e%2fadmin',
    '..%5cadmin',
    '..;/admin',
    '%2e%2e;/admin',
    '..%3b/admin',
    '%252e%252e%252fadmin',
  ];
  const calls = paths.map((path) => `curl -sS --path-as-is -o /dev/null -w "%{http_code} " 'https://api.example:PORT/v1/${path}'`);
  for (const field of ['x-original-url: /admin', 'x-http-method-override: DELETE'])
    calls.push(`curl -sS -o /dev/null -w "%{http_code} " -H '${field}' https://api.example:PORT/v1/a`);
  const { stdout, stderr } = await world.run(calls.join('\n'), {
    entries: [
      { methods: ['GET'], paths: ['/v1/*'], tls: { intercept: true, ca }, credentials: [{ bearer: true, from: { file: world.file } }] },
    ],
  });
  assert.match(stdout, /^(?:40[03] ){11}$/, stderr);
  assert.deepEqual(world.requests, []);
});

test('a server whose certificate is another name’s, or of an unknown CA, gets nothing', { skip }, async (t) => {
  const { world, ca } = await secureWorld(t, 'wrong.example');
  const script = 'curl -sS -o /dev/null -w "%{http_code}\\n" https://api.example:PORT/';
  const credentials = [{ bearer: true, from: { file: world.file } }];
  for (const tls of [{ intercept: true, ca }, { intercept: true }]) {
    const { stdout, stderr } = await world.run(script, { entries: [{ tls, credentials }] });
    assert.equal(stdout, '503\n', stderr);
  }
  assert.equal(world.requests.length, 0);
});

test('a client that trusts other CAs is told why its calls fail; hosts that are not named are left alone', { skip }, async (t) => {
  const { world, ca } = await secureWorld(t, 'api.example', 'other.example');
  const { stdout, stderr } = await world.run(
    `curl -sS --cacert ${ca} https://api.example:PORT/ || echo curl $?
     node -e 'require("tls").connect({ host: "api.example", port: PORT, servername: "api.example", ca: [] }).on("error", ({ code }) => console.log("node", code))'
     curl -sS --cacert ${ca} https://other.example:PORT/`,
    { entries: [{ tls: { intercept: true, ca } }, { host: 'other.example', protocol: 'TLS' }] },
  );
  assert.match(stdout, /^curl 60\nnode \w+\nok\n$/, stderr);
  assert.match(
    stderr,
    /not carried api\.example:\d+(?: \(.*\))?: the client did not go on with the certificate by which its TLS is intercepted \(alert unknown ca\): .* Leave tls\.intercept out/,
  );
});

test('a client that ends the connection after the handshake is found out, too', { skip }, async (t) => {
  const { world, ca } = await secureWorld(t, 'api.example');
  const looks = 'openssl s_client -proxy 127.0.0.1:15080 -connect api.example:PORT -servername api.example </dev/null';
  const { stderr } = await world.run(looks, { entries: [{ tls: { intercept: true, ca } }] });
  assert.match(stderr, /not carried api\.example:\d+.*\(it ended the connection once it had seen it\)/);
});

test('what is refused though its host is allowed is told as what it is, without advice that goes round interception', {
  skip,
}, async (t) => {
  const { world, ca } = await secureWorld(t, 'api.example');
  const viaProxy = (first: string, then: string) =>
    `node -e 'const s = require("net").connect(15080, "127.0.0.1"); s.write("${first}"); s.once("data", () => s.end("${then}", "latin1").resume())'`;
  const { stderr } = await world.run(
    `openssl s_client -proxy 127.0.0.1:15080 -noservername -connect api.example:PORT </dev/null >&2
     ${viaProxy('CONNECT api.example:PORT HTTP/1.1\\r\\n\\r\\n', 'GET / HTTP/1.1\\nHost: api.example\\n\\n')}
     ${viaProxy('\\x05\\x01\\x00', '\\x05\\x01\\x00\\x03\\x03a b\\x01\\xbb')}`,
    { entries: [{ tls: { intercept: true, ca } }] },
  );
  assert.match(stderr, /refused api\.example:\d+: it is allowed in HTTP and in TLS that names it \(SNI\) alone, and the call was neither/);
  assert.match(stderr, /api\.example:\d+ +refused +1× +the proxy answers 400 itself: http1\.codec_error/);
  assert.match(stderr, /a b:443 +refused +1× +the SOCKS5 request names no valid host and port/);
  assert.doesNotMatch(stderr, /--allow|not allowed/);
});

test('wildcards, addresses and short names are never intercepted', { skip: noSandbox }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  for (const host of ['*.example', '10.0.0.1', 'api']) {
    const { stdout, stderr } = await world.run('echo ran', { entries: [{ host, tls: { intercept: true } }] });
    assert.match(stderr, /TLS is originated and intercepted for the full name of one host/);
    assert.equal(stdout, '');
  }
});
