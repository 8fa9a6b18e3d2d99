import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { type FindClusterOptions, findCluster } from './find-cluster.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-kubeconfig-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

const context = (name: string, cluster: string, user: string, more = {}) => ({ name, context: { cluster, user, ...more } });

const CONFIG = {
  'current-context': 'one',
  clusters: [{ name: 'c1', cluster: { server: 'https://one.example:6443', 'tls-server-name': 'api.one' } }],
  contexts: [context('one', 'c1', 'alice', { namespace: 'shop' })],
  users: [{ name: 'alice', user: { token: 't1' } }] as { name: string; user: object }[],
};

function written(t: TestContext, config: object, name = 'config'): string {
  const file = join(folder(t), name);
  writeFileSync(file, stringify(config));
  return file;
}

const find = (options: Partial<FindClusterOptions>) =>
  findCluster({ environment: {}, home: '/nowhere', interactive: false, now: () => 0, ...options });

async function tokenOf(options: Partial<FindClusterOptions>): Promise<string | undefined> {
  return (await find(options).credentials.present()).authorization?.revealText();
}

test('a context says server, name, namespace and token', async (t) => {
  const kubeconfig = written(t, CONFIG);
  const access = find({ kubeconfig });
  assert.equal(access.server.href, 'https://one.example:6443/');
  assert.equal(access.tls.serverName, 'api.one');
  assert.equal(access.namespace, 'shop');
  assert.equal(await tokenOf({ kubeconfig }), 'Bearer t1');
});

test('of several files the first that says something counts, paths are from their folders on, and files that are missing are left out', async (t) => {
  const first = written(t, {
    'current-context': 'two',
    users: [{ name: 'bob', user: { tokenFile: 'token' } }],
    contexts: [context('two', 'c1', 'bob')],
  });
  writeFileSync(join(first, '../token'), 't2\n');
  const second = written(t, CONFIG);
  const environment = { KUBECONFIG: `${first}:/nowhere/config:${second}` };
  assert.equal(find({ environment }).name, 'two');
  assert.equal(await tokenOf({ environment }), 'Bearer t2');
  assert.equal(await tokenOf({ environment, context: 'one' }), 'Bearer t1');
});

test('a token in a file is read again after a minute, and when the server does not take it', async (t) => {
  const kubeconfig = written(t, { ...CONFIG, users: [{ name: 'alice', user: { tokenFile: 'token' } }] });
  const token = join(kubeconfig, '../token');
  writeFileSync(token, 'a');
  let now = 0;
  const { credentials } = find({ kubeconfig, now: () => now });
  const present = async () => (await credentials.present()).authorization?.revealText();
  assert.equal(await present(), 'Bearer a');
  writeFileSync(token, 'b');
  assert.equal(await present(), 'Bearer a');
  now = 60_000;
  assert.equal(await present(), 'Bearer b');
  writeFileSync(token, 'c');
  assert.equal(credentials.renew(), true);
  assert.equal(await present(), 'Bearer c');
});

test('what can not be honoured is refused, never left out', (t) => {
  const withUser = (user: object) => written(t, { ...CONFIG, users: [{ name: 'alice', user }] });
  const withCluster = (cluster: object) =>
    written(t, { ...CONFIG, clusters: [{ name: 'c1', cluster: { server: 'https://one.example', ...cluster } }] });
  const refused: [string, RegExp][] = [
    [withUser({ 'auth-provider': { name: 'gcp' } }), /auth-provider is no longer supported/],
    [withUser({ 'client-certificate-data': 'QQ==' }), /need each other/],
    [withUser({ exec: { apiVersion: 'client.authentication.k8s.io/v1alpha1', command: 'x' } }), /apiVersion/],
    [withUser({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'x', interactiveMode: 'Always' } }), /no terminal/],
    [withUser({ 'as-groups': ['a'] }), /need as/],
    [withCluster({ 'proxy-url': 'http://proxy' }), /proxy-url is not supported/],
    [withCluster({ 'insecure-skip-tls-verify': true, 'certificate-authority-data': 'QQ==' }), /remove one/],
    [withCluster({ server: 'http://one.example' }), /unencrypted/],
    [withCluster({ server: 'ftp://one.example' }), /no https/],
    [written(t, { ...CONFIG, 'current-context': 'won' }), /no context won; there is one/],
    [written(t, { ...CONFIG, 'current-context': undefined }), /say --context with one of one/],
  ];
  for (const [kubeconfig, message] of refused) assert.throws(() => find({ kubeconfig }), message);
  assert.throws(() => find({ kubeconfig: '/nowhere/config' }), { code: 'path-not-found' });
  assert.throws(() => find({}), { code: 'no-cluster' });
});

test('requests are made on behalf of others where the user says so', (t) => {
  const user = { token: 't', as: 'bob', 'as-groups': ['a', 'b'], 'as-user-extra': { 'x/y': ['1'] } };
  const { headers } = find({ kubeconfig: written(t, { ...CONFIG, users: [{ name: 'alice', user }] }) });
  assert.deepEqual(headers, [
    ['Impersonate-User', 'bob'],
    ['Impersonate-Group', 'a'],
    ['Impersonate-Group', 'b'],
    ['Impersonate-Extra-x%2Fy', '1'],
  ]);
});

test('in a pod it is the cluster around it, with the token of its service account', async (t) => {
  const serviceAccountFolder = folder(t);
  for (const [name, text] of Object.entries({ token: 't3', 'ca.crt': 'CA', namespace: 'team' }))
    writeFileSync(join(serviceAccountFolder, name), text);
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  const access = find({ environment, serviceAccountFolder });
  assert.equal(access.server.href, 'https://[fd00::1]:6443/');
  assert.equal(access.namespace, 'team');
  assert.equal(access.tls.ca, 'CA');
  assert.equal(await tokenOf({ environment, serviceAccountFolder }), 'Bearer t3');
});

test('a program hands out credentials, which are kept until they expire', async (t) => {
  const kubeconfig = written(t, {
    ...CONFIG,
    users: [
      {
        name: 'alice',
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: './issue.mjs',
            args: ['--for', 'me'],
            env: [{ name: 'ISSUER', value: 'us' }],
            interactiveMode: 'IfAvailable',
            provideClusterInfo: true,
          },
        },
      },
    ],
  });
  // Counts how often it runs, in the token.
  writeFileSync(
    join(kubeconfig, '../issue.mjs'),
    `#!${process.execPath}
import { appendFileSync, readFileSync } from 'node:fs';
appendFileSync(new URL('runs', import.meta.url), '.');
const { spec, apiVersion } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
const token = [readFileSync(new URL('runs', import.meta.url), 'utf8').length, process.argv.slice(2).join(' '), process.env.ISSUER, spec.interactive, spec.cluster.server].join();
console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion, status: { token, expirationTimestamp: new Date(100_000).toISOString() } }));
`,
    { mode: 0o755 },
  );
  let now = 0;
  const { credentials } = find({ kubeconfig, now: () => now });
  const present = async () => (await credentials.present()).authorization?.revealText();
  const both = await Promise.all([present(), present()]);
  assert.deepEqual(both, Array(2).fill('Bearer 1,--for me,us,false,https://one.example:6443/'));
  now = 80_000;
  assert.match((await present())!, /Bearer 1,/);
  now = 95_000;
  assert.match((await present())!, /Bearer 2,/);
  now = 0;
  assert.equal(credentials.renew(), true);
  assert.match((await present())!, /Bearer 3,/);
});

test('a program that fails is named, and what it printed is not', async (t) => {
  const user = { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', 'echo secret; exit 3'] } };
  const kubeconfig = written(t, { ...CONFIG, users: [{ name: 'alice', user }] });
  await assert.rejects(tokenOf({ kubeconfig }), (error: Error) => /sh ended with 3/.test(error.message) && !/secret/.test(error.message));
  const missing = { exec: { ...user.exec, command: 'no-such-program', installHint: 'Install it.' } };
  const other = written(t, { ...CONFIG, users: [{ name: 'alice', user: missing }] });
  await assert.rejects(tokenOf({ kubeconfig: other }), /no-such-program can't be run: .*Install it\./);
});
