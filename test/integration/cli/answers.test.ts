/** No command ends well over what is missing, empty or not valid, whichever it is. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { PROGRAM } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-answers-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): { code: number | null; out: string; err: string } {
  const env = { ...process.env, NO_COLOR: '1' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { cwd: folder, env, encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const entry = (name: string, more = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec: {hosts: [${name}.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]${more}}
`;
const FILES: Readonly<Record<string, string>> = {
  'deploy/www.yaml': entry('www'),
  'deploy/.hidden/broken.yaml': 'a: [',
  'broken/www.yaml': entry('www'),
  'broken/api.yaml': entry('api', ', protocl: x'),
  'misspelt/www.yaml': entry('www'),
  'misspelt/api.yaml': entry('api').replace('ServiceEntry', 'ServiceEntri'),
  'nothing/README.md': 'no configuration',
  'unread/values.yaml': 'apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\n',
  'links/www.yaml': entry('www'),
};
for (const [name, text] of Object.entries(FILES)) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}
symlinkSync('../broken', join(folder, 'links/other'));
const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: folder });
git('init', '-q', '-b', 'main');
git('add', '-A');
git('commit', '-q', '-m', 'first');

/** How each command is asked about a path. */
const COMMANDS: Readonly<Record<string, (path: string) => string[]>> = {
  analyze: (path) => ['analyze', path],
  verify: (path) => ['verify', '--adversary', 'captured', path],
  explain: (path) => ['explain', '-f', path, 'http://www.example.com/'],
  describe: (path) => ['describe', 'host', 'www.example.com', '-f', path],
  netpol: (path) => ['netpol', path],
  convert: (path) => ['convert', path],
  'proxy-config': (path) => ['proxy-config', 'clusters', path],
  'diff, old side': (path) => ['diff', path, 'deploy'],
  'diff, new side': (path) => ['diff', 'deploy', path],
};

for (const [name, args] of Object.entries(COMMANDS)) {
  test(`${name}: a path that is missing or holds nothing ends with 3`, () => {
    const missing = run(...args('deply'));
    assert.deepEqual([missing.code, missing.out], [3, ''], missing.err);
    assert.match(missing.err, /there is no file or folder deply/);
    for (const path of ['nothing', 'unread']) {
      const { code, out, err } = run(...args(path));
      assert.deepEqual([code, out], [3, ''], err);
      assert.match(err, new RegExp(`${path} holds no object that Sallyport reads`));
      assert.doesNotMatch(run(...args(path), '--allow-empty').err, /holds no object/);
    }
  });

  test(`${name}: what is not valid is told first, and the end is not 0`, () => {
    for (const path of ['broken', 'misspelt']) {
      const { code, out, err } = run(...args(path));
      assert.notEqual(code, 0);
      assert.match(
        name === 'analyze' ? out : err,
        path === 'broken' ? /no such field; did you mean protocol\?|SP0008/ : /did you mean ServiceEntry\?/,
      );
    }
  });
}

test('diff: revisions fail alike, and are read as folders are', () => {
  const same = run('diff', 'git:main:deploy', 'deploy');
  assert.deepEqual([same.code, same.out], [0, 'No call changes its outcome.\n'], same.err);
  assert.equal(run('diff', 'git:main:deploy/www.yaml', 'git:main:deploy/').code, 0);
  for (const [spec, message] of [
    ['git:main:deply', /main has no file or folder deply/],
    ['git:main:nothing', /holds no object/],
    ['git:mian:deploy', /cannot read git:mian:deploy/],
  ] as const) {
    for (const sides of [
      [spec, 'deploy'],
      ['deploy', spec],
    ]) {
      const { code, out, err } = run('diff', ...sides);
      assert.deepEqual([code, out], [3, ''], err);
      assert.match(err, message);
    }
  }
  const bare = run('diff', 'main', 'deploy');
  assert.equal(bare.code, 3);
  assert.match(bare.err, /no file or folder main .*git:REV/);
  const broken = run('diff', 'deploy', 'git:main:broken');
  assert.equal(broken.code, 1);
  assert.match(broken.err, /main:broken\/api\.yaml/);
  const link = run('diff', 'git:main:links', 'deploy');
  assert.equal(link.code, 1);
  assert.match(link.err, /the link leads out of the given path, to broken/);
});

test('a MeshConfig that is named has to be one', () => {
  writeFileSync(join(folder, 'empty-mesh.yaml'), '# nothing yet\n');
  for (const [name, args] of Object.entries(COMMANDS)) {
    const { code, out, err } = run(...args('deploy'), '--mesh-config', 'empty-mesh.yaml');
    assert.deepEqual([code, out], [3, ''], name);
    assert.match(err, /empty-mesh\.yaml holds no MeshConfig/);
  }
});

test('netpol prints no policies that would leave out what is not valid', () => {
  const { code, out, err } = run('netpol', 'broken');
  assert.deepEqual([code, out], [3, '']);
  assert.match(err, /mend it first/);
});

test('diff and verify as SARIF, GitHub annotations and Markdown', () => {
  const rule = (mode: string) =>
    `${entry('www')}---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: www}\nspec: {host: www.example.com, trafficPolicy: {tls: {mode: ${mode}}}}\n`;
  writeFileSync(join(folder, 'old.yaml'), rule('SIMPLE'));
  writeFileSync(join(folder, 'new.yaml'), rule('DISABLE'));
  const diff = (output: string) => run('diff', 'old.yaml', 'new.yaml', '-o', output);
  const text = diff('text');
  assert.equal(text.code, 1, text.err);
  assert.match(
    text.out,
    /^DestinationRule default\/www spec\.trafficPolicy\.tls\.mode: SIMPLE -> DISABLE \[new\.yaml:9:\d+\]\n {2}weakens {2}/,
  );
  const [result] = JSON.parse(diff('sarif').out).runs[0].results;
  assert.deepEqual([result.ruleId, result.level, result.locations[0].physicalLocation.region.startLine], ['weakens', 'error', 9]);
  assert.match(diff('github').out, /^::error file=new\.yaml,line=9,col=\d+,title=weakens DestinationRule default\/www::/);
  assert.match(
    diff('markdown').out,
    /^\| level .*\n\|---.*\n\| Error \| weakens \| DestinationRule default\/www .*\(new\.yaml:9:\d+\) \|\n$/,
  );
  const verify = (output: string) => run('verify', '--adversary', 'captured', 'deploy', '-o', output);
  assert.match(verify('github').out, /^::error (?:file=deploy\/www\.yaml,line=1,col=1,)?title=refuted /);
  assert.equal(JSON.parse(verify('sarif').out).runs[0].results[0].ruleId, 'refuted');
  assert.match(verify('markdown').out, /\| Error \| refuted \| /);
});
