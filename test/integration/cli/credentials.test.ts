/** `run` with credentials: they are in the calls that leave, and nowhere that the command or a log could have them from. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../outside.ts';
import { injectedWorld, skip } from './credentials-world.ts';

const SECRET = 'canary-7Qm1xZ0vT9';

test('a header, a bearer token, a basic password and a parameter, from a file, a variable and a command', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const { stdout, stderr, code } = await world.run(
    `curl -sS http://api.example:PORT/header; curl -sS http://api.example:PORT/bearer; curl -sS http://api.example:PORT/basic
     curl -sS "http://api.example:PORT/query?a=1&key=PLACEHOLDER"; curl -sS http://api.example:PORT/none; env`,
    {
      entries: [
        { paths: ['/header'], credentials: [{ header: 'X-Api-Key', from: { file: world.file } }] },
        { paths: ['/bearer'], credentials: [{ bearer: true, from: { environment: 'CANARY' } }] },
        { paths: ['/basic'], credentials: [{ basic: { user: 'me' }, from: { command: ['sh', '-c', 'printf %s "$CANARY"'] } }] },
        { paths: ['/query'], credentials: [{ query: 'key', from: { file: world.file }, placeholder: 'PLACEHOLDER' }] },
        { paths: ['/none'] },
      ],
      environment: { CANARY: SECRET },
    },
  );
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    world.requests.map(({ url, headers }) => [url, headers['x-api-key'] ?? headers.authorization]),
    [
      ['/header', SECRET],
      ['/bearer', `Bearer ${SECRET}`],
      ['/basic', `Basic ${btoa(`me:${SECRET}`)}`],
      [`/query?a=1&key=${SECRET}`, undefined],
      ['/none', undefined],
    ],
    stderr,
  );
  assert.ok(!`${stdout}${stderr}`.includes(SECRET), stdout + stderr);
});

test('another token than the placeholder is the client’s own, and stays', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const { stderr } = await world.run(
    `for token in "Bearer stand-in" "Bearer mine" "stand-in" ""; do curl -sS -o /dev/null \${token:+-H "authorization: $token"} http://api.example:PORT/; done`,
    { entries: [{ credentials: [{ bearer: true, from: { file: world.file }, placeholder: 'stand-in' }] }] },
  );
  assert.deepEqual(
    world.requests.map(({ headers }) => headers.authorization),
    [`Bearer ${SECRET}`, 'Bearer mine', `Bearer ${SECRET}`, `Bearer ${SECRET}`],
    stderr,
  );
});

test('a file is read anew when it is replaced; one that is gone closes, and names host and rule alone', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  world.answer = ({ url }) => {
    if (url === '/1') {
      writeFileSync(`${world.file}.new`, 'rotated-value\n');
      renameSync(`${world.file}.new`, world.file);
    } else if (url === '/2') rmSync(world.file);
    return 'ok\n';
  };
  const { stdout, stderr } = await world.run('for i in 1 2 3; do curl -sS -w "%{http_code}\\n" http://api.example:PORT/$i; done', {
    entries: [{ credentials: [{ header: 'x-key', from: { file: world.file } }] }],
  });
  assert.deepEqual(
    world.requests.map(({ headers }) => headers['x-key']),
    [SECRET, 'rotated-value'],
    stderr,
  );
  assert.match(
    stdout,
    /ok\n200\nok\n200\nsallyport: refused: the credential api\.example#1 for api\.example \(header x-key\) cannot be had503\n/,
  );
  assert.match(stderr, /credential api\.example#1 cannot be had, so calls that need it are refused: the file .* cannot be read: ENOENT/);
  assert.match(stderr, /refused api\.example:\d+ \(curl, pid \d+\): credential_unavailable\{/);
});

test('a token by OAuth 2.0: asked for once outside, by a client whose secret the command does not find', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const asked: (string | undefined)[] = [];
  const auth = await startServer(t, {
    listener: ({ headers, method }, response) => {
      asked.push(`${method} ${headers.authorization}`);
      response.end(JSON.stringify({ access_token: 'canary-token', token_type: 'bearer', expires_in: 3600 }));
    },
  });
  const tokenEndpoint = `http://localhost:${auth.port}/token`;
  const oauth2 = { tokenEndpoint, clientId: 'me', clientSecret: { file: world.file } };
  const script = `for i in 1 2 3; do curl -sS http://api.example:PORT/$i; done; curl -sS ${tokenEndpoint}; ls ${join(world.file, '..')}`;
  const { stdout, stderr } = await world.run(script, { entries: [{ credentials: [{ bearer: true, from: { oauth2 } }] }] });
  assert.deepEqual(
    world.requests.map(({ headers }) => headers.authorization),
    Array(3).fill('Bearer canary-token'),
    stderr,
  );
  assert.deepEqual(asked, [`POST Basic ${btoa(`me:${SECRET}`)}`]);
  assert.match(stdout, /^(?:ok\n){3}(?!.*canary)/);
});

test('a redirect that repeats a parameter does not tell it, and where it leads gets none', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  world.answer = ({ url = '' }, response) => {
    if (!url.startsWith('/from')) return 'there\n';
    response.statusCode = 302;
    response.setHeader('location', `http://other.example:${world.port}/to${url.slice(url.indexOf('?'))}`);
    return '';
  };
  const { stdout, stderr } = await world.run('curl -sS -L -D - http://api.example:PORT/from', {
    entries: [
      {
        credentials: [
          { query: 'key', from: { file: world.file } },
          { bearer: true, from: { file: world.file } },
        ],
      },
      { host: 'other.example' },
    ],
  });
  assert.match(stdout, /location: http:\/\/other\.example:\d+\/to\?key=\[credential\]/, stderr);
  assert.deepEqual(
    world.requests.map(({ url, headers }) => [url, headers.authorization]),
    [
      [`/from?key=${SECRET}`, `Bearer ${SECRET}`],
      ['/to?key=[credential]', undefined],
    ],
  );
  assert.ok(!`${stdout}${stderr}`.includes(SECRET));
});

test('the command finds the folder of the file empty', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const { stdout, stderr } = await world.run(`ls ${join(world.file, '..')}; cat ${world.file}; echo over`, {
    entries: [{ credentials: [{ header: 'x-key', from: { file: world.file } }] }],
  });
  assert.equal(stdout, 'over\n', stderr);
  const shared = join(world.folder, 'home');
  mkdirSync(shared);
  writeFileSync(join(shared, 'token'), SECRET);
  const { stderr: refused, code } = await world.run('true', {
    entries: [{ credentials: [{ header: 'x-key', from: { file: join(shared, 'token') } }] }],
    environment: { HOME: shared },
  });
  assert.equal(code, 3, refused);
  assert.match(
    refused,
    /the folder .*home is hidden from the command, as the value is in it, and the command needs .*: move .*token to a folder of its own/,
  );
});

test('what would leave in plain, unbound or unenforced is refused before anything runs', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const credentials = [{ bearer: true, from: { file: world.file } }];
  for (const [entry, options, expected] of [
    [
      { host: 'www.example', ports: [80], credentials },
      [],
      /www\.example:80 is plain HTTP, in which anybody on the way reads the credential: write tls/,
    ],
    [
      { host: 'www.example', ports: [443], credentials },
      [],
      /calls to port 443 are TLS between client and server, .* write tls: \{ intercept: true \}/,
    ],
    [{ credentials, bind: 'audit' }, [], /credentials need bind: enforce, and this says audit/],
    [{ credentials }, ['--would-deny'], /api\.example has credentials or is intercepted, which needs a policy that is enforced/],
  ] as const) {
    const { stderr, stdout } = await world.run('echo ran', { entries: [entry], options });
    assert.match(stderr, expected);
    assert.equal(stdout, '');
  }
});

test('a route that leads elsewhere, and a host that names another’s credential, get none', { skip }, async (t) => {
  const world = await injectedWorld(t, { secret: SECRET });
  const resources = join(world.folder, 'resources.yaml');
  const api = 'networking.istio.io/v1';
  const ports = [{ number: world.port, name: 'http', protocol: 'HTTP' }];
  const thief = JSON.stringify([{ name: 'api.example#1', ports: [world.port], header: 'x-key' }]);
  const annotations = {
    'sallyport.dev/bind': 'enforce',
    'sallyport.dev/private-addresses': '127.0.0.0/8',
    'sallyport.dev/credentials': thief,
  };
  const spec = { hosts: ['other.example'], location: 'MESH_EXTERNAL', resolution: 'DNS', ports };
  const route = [{ destination: { host: 'other.example', port: { number: world.port } } }];
  const documents = [
    { apiVersion: api, kind: 'ServiceEntry', metadata: { name: 'other', namespace: 'default', annotations }, spec },
    {
      apiVersion: api,
      kind: 'VirtualService',
      metadata: { name: 'astray', namespace: 'default' },
      spec: { hosts: ['api.example'], http: [{ route }] },
    },
  ];
  writeFileSync(resources, documents.map((document) => JSON.stringify(document)).join('\n---\n'));
  const { stdout, stderr } = await world.run('for host in api other; do curl -sS -w " %{http_code}\n" http://$host.example:PORT/; done', {
    entries: [{ credentials: [{ header: 'x-key', from: { file: world.file } }] }],
    options: [resources],
  });
  assert.equal(world.requests.length, 0, stderr);
  assert.match(stdout, /the request is led to another destination than api\.example, which its credential is for 403\n/);
  assert.match(stdout, /the credential api\.example#1 for other\.example \(header x-key\) cannot be had 503\n/);
});
