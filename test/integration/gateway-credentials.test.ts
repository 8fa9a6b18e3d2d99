/** What an egress gateway does with Secrets for the calls of EgressPolicies: signatures, access tokens, client certificates; and who would have them led elsewhere. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { until } from './controller-world.ts';
import { type GatewayCall, type GatewayWorld, gatewayWorld, skip } from './gateway-world.ts';
import { type Certificate, makeCertificate, startServer } from './outside.ts';
import { judged } from './signed.ts';

const KEYS = ['canary/wJalrXUtnFEMI+K7', 'canary/9Jd2Pf6Qs4Vn8Gc1H'] as const;
const SESSION = 'canary-session/Token=';
const CLIENT_SECRET = 'canary: +%Xw3Kq8Zt5Lm1Rb7Yd';
const TOKEN = 'canary-token-';

const secret = (name: string, data: Readonly<Record<string, string>>) =>
  `\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, stringData: data })}\n---`;

interface Policy {
  readonly outside: number;
  readonly credentials?: readonly object[];
  readonly tls?: object;
  readonly hosts?: readonly string[];
}

const policy = (port: number, { outside, credentials = [], tls = {}, hosts = ['api.localhost'] }: Policy) =>
  `\n${JSON.stringify({
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'EgressPolicy',
    metadata: { name: 'pays', namespace: 'shop', creationTimestamp: '2026-02-01T00:00:00Z' },
    spec: {
      through: 'gateway',
      tls: { originate: true, port: outside, ...tls },
      to: hosts.map((host, at) => ({ hosts: [host], ports: [port], protocol: 'HTTP', ...(at === 0 && { credentials }) })),
    },
  })}\n---`;

/** Holds the outside's listener, which tests replace. */
interface Server {
  readonly port: number;
  readonly requests: readonly IncomingMessage[];
  readonly certificate: Certificate;
  answer: (request: IncomingMessage, response: ServerResponse) => unknown;
}

async function outside(t: TestContext, more: object = {}): Promise<Server> {
  const certificate = makeCertificate('api.localhost', 'auth.localhost');
  const listening = { ...certificate, ...more };
  const { port, requests } = await startServer(t, {
    certificate: listening,
    listener: (request, response) => server.answer(request, response),
  });
  const server: Server = { port, requests, certificate, answer: (_, response) => response.end('ok') };
  return server;
}

/** Neither in it, nor in base64 or hexadecimal. */
async function assertUnseen({ looked }: GatewayWorld, ...secrets: readonly string[]): Promise<void> {
  const text = await looked();
  for (const each of secrets)
    for (const form of [
      each,
      JSON.stringify(each).slice(1, -1),
      encodeURIComponent(each),
      btoa(each).replace(/=+$/, ''),
      Buffer.from(each).toString('hex'),
    ])
      assert.ok(!text.includes(form), form);
}

test('requests are signed by the keys of one Secret, as it is now; without one of them they are refused', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const server = await outside(t);
  const said: string[] = [];
  let key: string = KEYS[0];
  server.answer = async (request, response) => {
    said.push(`${await judged(request, key)}, ${request.headers['x-amz-security-token'] ?? 'no session'}`);
    response.end('ok');
  };
  const keys = { accessKeyId: 'id', secretAccessKey: 'key', sessionToken: 'session' };
  const credential = { sigv4: { region: 'eu-west-1', service: 's3' }, from: { secret: { name: 'aws', keys } }, placeholder: 'AKIDNONE' };
  const mesh = (data: Readonly<Record<string, string>>) => (port: number) =>
    secret('aws', data) + policy(port, { outside: server.port, credentials: [credential] });
  const first = mesh({ id: 'AKIDONE', key: KEYS[0], session: SESSION });
  const world = await gatewayWorld(t, server.certificate.cert, first);
  assert.equal((await world.call('/bucket/key?list=1', { method: 'PUT', body: 'body' })).status, 200);
  assert.deepEqual(said, [`signed by AKIDONE for s3, without its body of 4, ${SESSION}`]);

  key = KEYS[1];
  world.write(mesh({ id: 'AKIDTWO', key, session: SESSION })(world.port));
  await until(async () => (await world.call('/renewed')).status === 200 && said.at(-1)!.startsWith('signed by AKIDTWO '));
  assert.ok(said.every((each) => each.startsWith('signed by AKIDTWO ') || each.includes('AKIDONE')));

  world.write(mesh({ id: 'AKIDTWO', key })(world.port));
  const lacking = await until(async () => {
    const answer = await world.call('/without');
    return answer.status === 503 && answer;
  });
  assert.match(
    lacking.text,
    /the credential shop\/aws\/accessKeyId=id,secretAccessKey=key,sessionToken=session for api\.localhost .* cannot be had/,
  );
  await world.controller.says(/Secret shop\/aws has no key session: calls that get it are refused/);
  await assertUnseen(world, ...KEYS, SESSION);
});

interface Authorization {
  /** Of tokens, seconds. */
  life: number;
  /** Answers to requests for tokens, in place of a token. */
  failing: ((response: ServerResponse) => unknown) | undefined;
  readonly asked: string[];
  readonly got: (string | undefined)[];
  readonly credential: object;
  readonly client: Readonly<Record<string, string>>;
}

/** An authorization server at `auth.localhost`, and at `api.localhost` what wants its tokens. */
function authorizing(server: Server): Authorization {
  const authorization: Authorization = {
    life: 3600,
    failing: undefined,
    asked: [],
    got: [],
    client: { id: 'client:one', secret: CLIENT_SECRET },
    credential: {
      bearer: true,
      from: {
        secret: { name: 'idp', keys: { clientId: 'id', clientSecret: 'secret' } },
        oauth2: { tokenEndpoint: `https://auth.localhost:${server.port}/token?tenant=1`, scopes: ['pay'], parameters: { audience: 'api' } },
      },
      placeholder: 'none',
    },
  };
  server.answer = async (request, response) => {
    const { host = '', authorization: shown } = request.headers;
    if (!host.startsWith('auth.')) {
      authorization.got.push(shown);
      if (request.url === '/redirect') response.writeHead(302, { location: `https://evil.example/?t=${shown?.slice(7)}` });
      response.end(shown ?? 'nothing');
      return;
    }
    let body = '';
    for await (const part of request) body += part;
    authorization.asked.push(`${request.method} ${request.url} ${body}`);
    const expected = `Basic ${btoa(`client%3Aone:${new URLSearchParams({ x: CLIENT_SECRET }).toString().slice(2)}`)}`;
    const inner = Object.keys(request.headers).filter((name) => name.startsWith('x-'));
    if (authorization.failing) authorization.failing(response);
    else if (shown !== expected || inner.length > 0) response.writeHead(401).end(JSON.stringify({ error: 'invalid_client', inner, shown }));
    else
      response.end(
        JSON.stringify({ access_token: `${TOKEN}${authorization.asked.length}`, token_type: 'Bearer', expires_in: authorization.life }),
      );
  };
  return authorization;
}

test('the gateway asks for an access token where the policy allows it, and is closed while there is none', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const server = await outside(t);
  const authorization = authorizing(server);
  const { credential, client, asked, got } = authorization;
  const mesh = (data: Readonly<Record<string, string>> | undefined) => (port: number) =>
    (data ? secret('idp', data) : '') +
    policy(port, { outside: server.port, credentials: [credential], hosts: ['api.localhost', 'auth.localhost'] });
  authorization.failing = (response) => response.writeHead(500).end(CLIENT_SECRET);
  const world = await gatewayWorld(t, server.certificate.cert, mesh(client));
  const refused = await world.call('/v1');
  assert.equal(refused.status, 503);
  assert.match(refused.text, /the credential shop\/idp\/clientId=id,clientSecret=secret for api\.localhost .* cannot be had/);
  await world.gateway.says(
    /no access token can be had for api\.localhost .*: the token endpoint https:\/\/auth\.localhost:\d+\/token\?tenant=1 answers 500\n/,
  );
  authorization.failing = (response) => response.writeHead(302, { location: '/elsewhere' }).end();
  await until(async () => (await world.call('/v1')).status === 503 && /answers 302\n/.test(world.gateway.errors));
  assert.deepEqual(got, []);

  authorization.failing = undefined;
  const first = await until(async () => {
    const answer = await world.call('/v1');
    return answer.status === 200 && answer;
  });
  assert.match(first.text, new RegExp(`^Bearer ${TOKEN}\\d+$`));
  assert.equal(asked.at(-1), 'POST /token?tenant=1 grant_type=client_credentials&scope=pay&audience=api');
  const count = asked.length;
  const many = await Promise.all(Array.from({ length: 20 }, () => world.call('/v1', { headers: { authorization: 'none' } })));
  assert.deepEqual([...new Set(many.map(({ text }) => text))], [first.text]);
  assert.equal(asked.length, count, 'one token is for all');
  assert.equal((await world.call('/v1', { headers: { authorization: 'Bearer own' } })).text, 'Bearer own');
  assert.equal((await world.call('/redirect')).headers.location, 'https://evil.example/?t=[credential]');

  world.write(mesh({ ...client, secret: 'another' })(world.port));
  await until(async () => (await world.call('/v1')).status === 503);
  await world.gateway.says(/answers 401 \(invalid_client\)\n/);
  // It is asked for anew before its end, and no call goes without.
  authorization.life = 2;
  world.write(mesh(client)(world.port));
  await until(async () => (await world.call('/v1')).status === 200);
  const [renewing, statuses] = [asked.length, new Set<number>()];
  await until(async () => statuses.add((await world.call('/v1')).status) && asked.length >= renewing + 3);
  assert.deepEqual([...statuses], [200]);
  assert.deepEqual(
    got.filter((each) => !`${each}`.startsWith(`Bearer ${TOKEN}`)),
    ['Bearer own'],
  );
  world.write(mesh(undefined)(world.port));
  await until(async () => (await world.call('/v1')).status === 503);
  await assertUnseen(world, CLIENT_SECRET, TOKEN);
});

test('a client certificate of a Secret is shown for the hosts of the policy, as it is now, and nothing leaves without', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const [one, two] = [makeCertificate('one'), makeCertificate('two')];
  const server = await outside(t, { requestCert: true, ca: [one.cert, two.cert] });
  server.answer = ({ socket, url }, response) => {
    // Another certificate is shown in connections that begin then.
    if (url === '/last') response.setHeader('connection', 'close');
    response.end((socket as TLSSocket).getPeerCertificate().subject.CN as string);
  };
  const mesh = (pair: Certificate | undefined) => (port: number) =>
    (pair ? secret('own', { 'tls.crt': pair.cert, 'tls.key': pair.key }) : '') +
    policy(port, { outside: server.port, tls: { clientCertificate: { secret: { name: 'own' } } } });
  const world = await gatewayWorld(t, server.certificate.cert, mesh(one));
  assert.equal((await world.call('/')).text, 'one');
  world.write(mesh(two)(world.port));
  await until(async () => (await world.call('/last')).text === 'two');
  assert.equal((await world.call('/')).text, 'two');
  // Also in the connection that is open.
  world.write(mesh(undefined)(world.port));
  await until(async () => (await world.call('/')).status === 503);
  await world.controller.says(/api\.localhost:\d+: Secret shop\/own does not exist: calls for which it is shown are refused \(503\)/);
  const after = server.requests.length;
  assert.equal((await world.call('/')).status, 503);
  assert.equal(server.requests.length, after);
  await assertUnseen(world, ...[one, two].flatMap(({ key }) => key.split('\n').filter((line) => line.length > 40)));
});

/** Shown to the gateway's namespace alone, and older than the policy. */
const stolen = (host: string, port: number, at: number) =>
  `\n${JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: {
      name: `steal-${host.split('.')[0]}`,
      namespace: 'evil',
      creationTimestamp: '2026-01-01T00:00:00Z',
      annotations: { 'sallyport.dev/bind': 'enforce' },
    },
    spec: {
      hosts: [host],
      location: 'MESH_EXTERNAL',
      resolution: 'STATIC',
      endpoints: [{ address: '127.0.0.1', ports: { http: at } }],
      ports: [{ number: port, name: 'http', protocol: 'HTTP' }],
      exportTo: ['istio-system'],
    },
  })}\n---`;

test('who declares the host, or that of the token endpoint, for the gateway alone gets nothing, and the calls are refused', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const server = await outside(t);
  const { credential, client } = authorizing(server);
  const evil = await startServer(t);
  const own = (port: number) =>
    secret('idp', client) + policy(port, { outside: server.port, credentials: [credential], hosts: ['api.localhost', 'auth.localhost'] });
  const world = await gatewayWorld(t, server.certificate.cert, own);
  await until(async () => (await world.call('/v1')).status === 200);
  for (const host of ['api.localhost', 'auth.localhost']) {
    world.write(own(world.port) + stolen(host, world.port, evil.port));
    const said = new RegExp(`^sallyport: refused: .*ServiceEntry evil/steal-${host.split('.')[0]} says where it is\\n$`);
    await until(async () => said.test((await world.call('/v1')).text));
    // Also of the calls made while the change was taken over.
    assert.equal(evil.requests.length, 0);
    world.write(own(world.port));
    await until(async () => (await world.call('/v1')).status === 200);
  }
});

/** Logs what is after credentials would be after. */
const LOGGING = `\n${JSON.stringify({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: {
    mesh: JSON.stringify({
      accessLogFile: '/dev/stdout',
      accessLogFormat: 'LOG %REQ(:PATH)% %REQ(AUTHORIZATION)% %RESP(LOCATION)% %RESP(X-ECHO)% %RESPONSE_CODE_DETAILS%\n',
    }),
  },
})}\n---`;

test('a caller gets the credential to its host alone, in no spelling to another, and sees it in no head, log or dump', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const token = KEYS[0];
  const server = await outside(t);
  server.answer = ({ headers, url }, response) => {
    response.writeHead(200, { 'x-echo': `${headers.authorization}`, 'x-query': `${url}`, [`x-${token.replace('/', '-')}`]: '1' });
    response.end('ok');
  };
  const credential = { bearer: true, from: { secret: { name: 'api', key: 'token' } }, placeholder: 'none' };
  const world = await gatewayWorld(
    t,
    server.certificate.cert,
    (port) => LOGGING + secret('api', { token }) + policy(port, { outside: server.port, credentials: [credential] }),
  );
  const came = async (path: string, call: GatewayCall = {}) => {
    const before = server.requests.length;
    const { status, headers } = await world.call(path, call);
    assert.ok(!JSON.stringify(headers).includes(token), `${path}: ${JSON.stringify(headers)}`);
    return { status, headers: server.requests.slice(before).map((request) => request.headers) };
  };
  const injected = `Bearer ${token}`;
  const calls: readonly GatewayCall[] = [
    {},
    { headers: { AUTHORIZATION: 'none' } },
    { headers: { authorization: 'Bearer none' } },
    // What the connection alone has goes no further, and leaves the place empty.
    { headers: { authorization: 'Bearer own', connection: 'authorization' } },
    { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' } },
    { headers: { 'x-forwarded-host': 'evil.localhost', 'x-envoy-original-dst-host': '127.0.0.1:1' } },
  ];
  for (const call of calls) {
    const { status, headers } = await came('/v1', call);
    assert.deepEqual(
      [status, headers.map(({ host, authorization }) => [host, authorization])],
      [200, [['api.localhost', injected]]],
      JSON.stringify(call),
    );
  }
  for (const [path, call, statuses] of [
    ['/v1', { method: 'TRACE' }, [403]],
    ['/v1', { headers: { host: 'evil.localhost' } }, [400, 403, 404, 421]],
    ['/v1', { headers: { host: 'auth.localhost' } }, [400, 403, 404, 421]],
    ['http://evil.localhost/v1', {}, [400, 403, 404, 421]],
    ['//evil.localhost/v1', { headers: { host: 'evil.localhost' } }, [400, 403, 404, 421]],
  ] as const) {
    const { status, headers } = await came(path, call);
    assert.ok((statuses as readonly number[]).includes(status), `${path} ${JSON.stringify(call)}: ${status}`);
    assert.deepEqual(headers, []);
  }
  const text = await world.looked();
  assert.match(
    text,
    /^LOG \/v1 none - \[credential\]|^LOG \/v1 none - Bearer \[credential\]/m,
    'what the caller wrote is logged, what it got is not',
  );
  await assertUnseen(world, token);
});
