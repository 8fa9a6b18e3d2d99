/** What jobs of pull and merge requests run (deploy/ci): a change is reviewed, and the review put where it is asked for. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { needs } from './tools.ts';

const CI = join(import.meta.dirname, '../../deploy/ci');
const skip = needs('git');

const entry = (host: string) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.split('.')[0]}, namespace: shop }
spec: { hosts: [${host}], resolution: DNS, location: MESH_EXTERNAL, ports: [{ number: 443, name: tls, protocol: TLS }] }
`;
const MESH = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }
---
${entry('www.example.com')}`;

/** A repository with a configuration, and what runs the script in it. */
function repository(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-review-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: folder, encoding: 'utf8' });
  git('init', '--quiet', '--initial-branch=main');
  const write = (path: string, text: string) => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  write('mesh/mesh.yaml', MESH);
  git('add', '.');
  git('commit', '--quiet', '-m', 'base');
  const review = (args: readonly string[]) =>
    new Promise<{ code: number; errors: string }>((resolve) => {
      execFile('sh', [join(CI, 'review.sh'), ...args], { cwd: folder }, (error, _output, errors) =>
        resolve({ code: error === null ? 0 : Number(error.code), errors }),
      );
    });
  const read = (name: string) => readFileSync(join(folder, 'sallyport-review', name), 'utf8');
  return { folder, write, review, read };
}

interface Sarif {
  readonly runs: readonly [{ readonly results: readonly { readonly message: { readonly text: string } }[] }];
}

test('what widens fails, and stands in the comment and the SARIF', { skip }, async (t) => {
  const { review, read, write } = repository(t);
  const same = await review(['--base', 'main', 'mesh']);
  assert.equal(same.code, 0, same.errors);
  assert.match(read('comment.md'), /Nothing found/);
  write('mesh/more.yaml', entry('pay.example.com'));
  const wider = await review(['--base', 'main', '--verify', 'mesh']);
  assert.equal(wider.code, 1, wider.errors);
  assert.match(read('comment.md'), /pay\.example\.com[\s\S]*What is proved[\s\S]*refuted/);
  const sarif = JSON.parse(read('diff.sarif')) as Sarif;
  assert.match(sarif.runs[0].results[0]!.message.text, /pay\.example\.com/);
  assert.ok(JSON.parse(read('analyze.sarif')) && JSON.parse(read('verify.sarif')));
});

test('a folder that the base does not have, or that is written in another way, passes for none that widens nothing', {
  skip,
}, async (t) => {
  const { folder, review, read, write } = repository(t);
  write('other/mesh.yaml', MESH);
  assert.equal((await review(['--base', 'main', 'other'])).code, 3);
  assert.match(read('comment.md'), /What calls change could not be answered/);
  write('mesh/more.yaml', entry('pay.example.com'));
  for (const path of ['mesh/', './mesh', '.']) assert.equal((await review(['--base', 'main', path])).code, 1, path);
  assert.equal((await review(['--base', 'main', join(folder, 'mesh')])).code, 3);
});

test('what cannot be asked is no pass', { skip }, async (t) => {
  const { review, write, folder } = repository(t);
  const unknown = await review(['--base', 'v9', 'mesh']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.errors, /v9 is no revision here.*fetch-depth: 0/);
  assert.equal((await review(['mesh'])).code, 2);
  assert.equal((await review(['--base', 'main'])).code, 2);
  assert.ok(!existsSync(join(folder, 'sallyport-review')));
  assert.equal((await review(['--base', 'main', 'no-such-folder'])).code, 3);
  write('mesh/broken.yaml', '{');
  assert.notEqual((await review(['--base', 'main', 'mesh'])).code, 0);
});

/** The part of an API that has comments. */
async function commentsServer(t: TestContext) {
  const calls: { method: string; url: string; token: unknown; body: string }[] = [];
  const kept: { id: number; body: string }[] = [];
  const server = createServer(async (asked, answer) => {
    let text = '';
    for await (const part of asked) text += String(part);
    const { method = '', url = '', headers } = asked;
    const token = headers.authorization ?? headers['private-token'];
    if (method === 'GET') {
      answer.end(JSON.stringify(kept));
      return;
    }
    const { body } = JSON.parse(text) as { body: string };
    calls.push({ method, url, token, body });
    if (method === 'POST') kept.push({ id: 7, body });
    answer.end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function comment(file: string, env: Readonly<Record<string, string>>) {
  return new Promise<{ code: number; errors: string }>((resolve) => {
    execFile(process.execPath, [join(CI, 'comment.mjs'), file], { env: { PATH: process.env.PATH, ...env } }, (error, _output, errors) =>
      resolve({ code: error === null ? 0 : Number(error.code), errors }),
    );
  });
}

test('the comment is written once, and then replaced', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-comment-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'comment.md');
  writeFileSync(file, `<!-- sallyport review -->\n${'what changes\n'.repeat(6000)}`);
  const { calls, url } = await commentsServer(t);
  const github = { GITHUB_API_URL: url, GITHUB_REPOSITORY: 'a/b', GITHUB_REF: 'refs/pull/12/merge', GITHUB_TOKEN: 'secret' };
  const gitlab = { CI_API_V4_URL: url, CI_PROJECT_ID: '3', CI_MERGE_REQUEST_IID: '4', SALLYPORT_GITLAB_TOKEN: 'glpat' };
  for (const env of [github, github, gitlab]) assert.equal((await comment(file, env)).code, 0);
  assert.deepEqual(
    calls.map(({ method, url, token }) => `${method} ${url} ${token}`),
    [
      'POST /repos/a/b/issues/12/comments Bearer secret',
      'PATCH /repos/a/b/issues/comments/7 Bearer secret',
      'PUT /projects/3/merge_requests/4/notes/7 glpat',
    ],
  );
  for (const { body } of calls)
    assert.ok(body.length <= 65_536 && /^<!-- sallyport review -->\nwhat[\s\S]*the job has all of it\.\n$/.test(body));
  const { code, errors } = await comment(file, {});
  assert.equal(code, 3);
  assert.match(errors, /neither GITHUB_REF nor CI_MERGE_REQUEST_IID/);
});

test('what the action takes is what it uses', () => {
  const action = parse(readFileSync(join(CI, 'action.yml'), 'utf8')) as { inputs: object; runs: { steps: { run: string }[] } };
  const used = [...JSON.stringify(action.runs).matchAll(/\$\{\{ inputs\.(\w+) \}\}/g)].map(([, name]) => name);
  assert.deepEqual(used.sort(), Object.keys(action.inputs).sort());
  // An expression in a script would be code of whoever opens the request.
  for (const { run } of action.runs.steps) assert.doesNotMatch(run, /\$\{\{/);
  // What is neither asked for nor left out is not left out without a word.
  const script = action.runs.steps.at(-1)!.run;
  for (const env of [
    { VERIFY: 'True', COMMENT: 'false' },
    { VERIFY: 'false', COMMENT: '' },
  ])
    assert.throws(() => execFileSync('sh', ['-c', script], { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' }), { status: 2 });
  assert.ok(parse(readFileSync(join(CI, 'gitlab.yml'), 'utf8'))['.sallyport-review'].script);
  const hooks = parse(readFileSync(join(CI, '../../.pre-commit-hooks.yaml'), 'utf8')) as { id: string }[];
  assert.deepEqual(
    hooks.map(({ id }) => id),
    ['sallyport-analyze', 'sallyport-diff'],
  );
});
