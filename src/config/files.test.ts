import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { openFiles } from './files.ts';
import { type MeshInput, openMeshFiles } from './mesh-source.ts';
import { LARGEST_FILE } from './read.ts';
import type { Snapshot } from './snapshot.ts';

const FAST = { coalesce: { quiet: 5, most: 1000 }, absence: async () => {}, meshConfig: undefined };

const entry = (name: string, host = `${name}.example.com`, more = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${host}]
  ports: [{number: 80, name: http, protocol: HTTP}]
${more}`;

const names = (snapshot: Snapshot) => snapshot.list('ServiceEntry').map(({ metadata }) => metadata.name);
const codes = (snapshot: Snapshot) => snapshot.findings.map(({ code }) => code);

async function folder(t: TestContext, files: Readonly<Record<string, string | Buffer>> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sallyport-files-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(path, name, '..'), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return path;
}

/** Snapshots of watched files, one at a time. */
async function follow(t: TestContext, paths: readonly string[]) {
  const ready: Snapshot[] = [];
  let waiting: ((snapshot: Snapshot) => void) | undefined;
  const changed = ({ snapshot }: MeshInput) => {
    if (waiting) waiting(snapshot);
    else ready.push(snapshot);
    waiting = undefined;
  };
  const source = await openMeshFiles({ ...FAST, paths }, { changed, failed: (error) => assert.fail(String(error)) });
  source.watch();
  t.after(() => source.close());
  return {
    first: source.first.snapshot,
    /** The first snapshot for which `holds` is true. */
    async until(holds: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
      for (;;) {
        const snapshot = ready.shift() ?? (await new Promise<Snapshot>((resolve) => (waiting = resolve)));
        if (holds(snapshot)) return snapshot;
      }
    },
  };
}

test('folders are read recursively in the order of names, other files are not', async (t) => {
  const path = await folder(t, {
    'b.yml': entry('b'),
    'a/z.yaml': entry('z'),
    'a/k.json': JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'k' },
      spec: { hosts: ['k.example.com'], ports: [{ number: 80, name: 'http' }] },
    }),
    'notes.txt': 'not yaml: [',
    '.hidden.yaml': entry('hidden'),
  });
  const { snapshot } = await openFiles([path]);
  assert.deepEqual(names(snapshot), ['k', 'z', 'b']);
  assert.deepEqual(
    snapshot.list('ServiceEntry').map(({ order }) => order),
    [0, 1, 2],
  );
  assert.deepEqual(codes(snapshot), []);
});

test('a file named alone is read whatever its name, and once even if its folder is named too', async (t) => {
  const path = await folder(t, { 'config.txt': entry('a'), 'b.yaml': entry('b') });
  const { snapshot } = await openFiles([join(path, 'config.txt'), join(path, 'b.yaml'), path]);
  assert.deepEqual(names(snapshot), ['a', 'b']);
  assert.deepEqual(codes(snapshot), []);
});

test('standard input', async () => {
  const { snapshot } = await openFiles(['-'], { stdin: Readable.from([Buffer.from(entry('a')), Buffer.from(`---\n${entry('b')}`)]) });
  assert.deepEqual(names(snapshot), ['a', 'b']);
  assert.equal(snapshot.list('ServiceEntry')[1]?.source.position().file, 'stdin');
});

test('a path that does not exist is an error', async (t) => {
  const path = await folder(t);
  await assert.rejects(openFiles([join(path, 'missing')]), { code: 'path-not-found' });
});

test('a folder or file that cannot be read is a finding, the rest is read', {
  skip: process.getuid?.() !== 0 && 'needs root to drop its rights',
}, async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a'), 'closed/b.yaml': entry('b'), 'c.yaml': entry('c') });
  const { chmod } = await import('node:fs/promises');
  await chmod(path, 0o755);
  await chmod(join(path, 'closed'), 0o700);
  await chmod(join(path, 'c.yaml'), 0o600);
  process.seteuid?.(65534);
  t.after(() => process.seteuid?.(0));
  const { snapshot } = await openFiles([path]);
  process.seteuid?.(0);
  assert.deepEqual(names(snapshot), ['a']);
  assert.deepEqual(
    snapshot.findings.map(({ code, position }) => [code, position?.file]),
    [
      ['SP0002', join(path, 'c.yaml')],
      ['SP0002', join(path, 'closed')],
    ],
  );
});

test('a dangling link is a finding; a loop of links ends', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a') });
  await symlink(join(path, 'nowhere.yaml'), join(path, 'b.yaml'));
  await symlink(path, join(path, 'loop'));
  const { snapshot } = await openFiles([path]);
  assert.deepEqual(names(snapshot), ['a']);
  assert.deepEqual(codes(snapshot), ['SP0002']);
});

test('a FIFO, a device or a socket is a finding at once, named or in a folder; nothing waits for it', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a') });
  execFileSync('mkfifo', [join(path, 'b.yaml'), join(path, 'ignored')]);
  const named = await folder(t);
  await symlink('/dev/zero', join(named, 'zero.yaml'));
  const { snapshot } = await openFiles([path, join(named, 'zero.yaml')]);
  assert.deepEqual(names(snapshot), ['a']);
  assert.deepEqual(snapshot.findings.map(({ code, message }) => `${code} ${message}`).sort(), [
    "SP0002 can't be read: it is a device, not a file",
    "SP0002 can't be read: it is a named pipe, not a file",
  ]);
});

test('links lead to files under the given paths, and nowhere else', async (t) => {
  const outside = await folder(t, { 'secret.yaml': 'a secret', 'more/c.yaml': entry('c') });
  const path = await folder(t, { 'a.yaml': entry('a'), 'sub/b.yaml': entry('b') });
  await symlink('../a.yaml', join(path, 'sub/again.yaml'));
  await symlink(join(outside, 'secret.yaml'), join(path, 'leak.yaml'));
  await symlink(join(outside, 'more'), join(path, 'more'));
  const { snapshot } = await openFiles([path]);
  assert.deepEqual([...new Set(names(snapshot))], ['a', 'b']);
  const out = snapshot.findings.filter(({ code }) => code === 'SP0002');
  assert.deepEqual(
    out.map(({ position }) => position?.file),
    [join(path, 'leak.yaml'), join(path, 'more')],
  );
  assert.match(out[0]!.message, /leads out of/);
  assert.doesNotMatch(JSON.stringify(snapshot.findings), /a secret/);
  const both = await openFiles([path, join(outside, 'more')]);
  assert.deepEqual([...new Set(names(both.snapshot))].sort(), ['a', 'b', 'c']);
});

test('a file above the limit is refused without reading it', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a'), 'large.yaml': Buffer.alloc(50 * 1024 * 1024, '# 12345\n') });
  const { snapshot } = await openFiles([path]);
  assert.deepEqual(names(snapshot), ['a']);
  const [finding] = snapshot.findings;
  assert.equal(finding?.code, 'SP0003');
  assert.match(finding?.message ?? '', /50 MiB, more than the 32 MiB/);
  const { snapshot: streamed } = await openFiles(['-'], { stdin: Readable.from([Buffer.alloc(LARGEST_FILE), Buffer.from('a')]) });
  assert.deepEqual(codes(streamed), ['SP0003']);
});

test('text that is not UTF-8 is a finding', async (t) => {
  const path = await folder(t, { 'a.yaml': Buffer.from([0x61, 0x3a, 0xff]), 'b.yaml': Buffer.from('\ufeffa: 1\n', 'utf16le') });
  const { snapshot } = await openFiles([path]);
  assert.deepEqual(codes(snapshot), ['SP0004', 'SP0004']);
  assert.match(snapshot.findings[1]?.message ?? '', /UTF-16/);
});

test('watching: changes, atomic saves, new files and folders, deletions', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a') });
  const watched = await follow(t, [path]);

  await writeFile(join(path, 'a.yaml'), entry('a', 'changed.example.com'));
  const changed = await watched.until((snapshot) => snapshot.list('ServiceEntry')[0]?.spec.hosts[0] === 'changed.example.com');
  assert.ok(changed.version > 1);

  await writeFile(join(path, '.a.yaml.tmp'), entry('a', 'renamed.example.com'));
  await rename(join(path, '.a.yaml.tmp'), join(path, 'a.yaml'));
  await watched.until((snapshot) => snapshot.list('ServiceEntry')[0]?.spec.hosts[0] === 'renamed.example.com');

  await mkdir(join(path, 'more'));
  await writeFile(join(path, 'more/b.yaml'), entry('b'));
  await watched.until((snapshot) => names(snapshot).join() === 'a,b');

  await rm(join(path, 'a.yaml'));
  await watched.until((snapshot) => names(snapshot).join() === 'b');

  await rm(join(path, 'more'), { recursive: true });
  await watched.until((snapshot) => names(snapshot).length === 0);
});

test('watching a single file through deletion and return', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a') });
  const file = join(path, 'a.yaml');
  const watched = await follow(t, [file]);
  await rm(file);
  await watched.until((snapshot) => names(snapshot).length === 0);
  await writeFile(file, entry('b'));
  await watched.until((snapshot) => names(snapshot).join() === 'b');
});

test('a mounted ConfigMap: files are links through a folder that is swapped', async (t) => {
  const path = await folder(t, { '..1/a.yaml': entry('a'), '..2/a.yaml': entry('b') });
  await symlink('..1', join(path, '..data'));
  await symlink('..data/a.yaml', join(path, 'a.yaml'));
  const watched = await follow(t, [path]);
  assert.deepEqual(names(watched.first), ['a']);
  await symlink('..2', join(path, '..data_tmp'));
  await rename(join(path, '..data_tmp'), join(path, '..data'));
  await watched.until((snapshot) => names(snapshot).join() === 'b');
});

test('a file that is emptied keeps its objects, as kubectl apply would; one that says so, or is deleted, does not', async (t) => {
  const path = await folder(t, { 'a.yaml': entry('a'), 'b.yaml': entry('b'), 'empty.yaml': '' });
  const watched = await follow(t, [path]);
  assert.deepEqual(codes(watched.first), []);
  for (const text of ['', '\n---\n', '# nothing\n']) {
    await writeFile(join(path, 'a.yaml'), text);
    const emptied = await watched.until(({ findings }) => findings.length > 0);
    assert.deepEqual(names(emptied), ['a', 'b']);
    assert.deepEqual(codes(emptied), ['SP0010']);
    assert.match(emptied.findings[0]!.message, /a\.yaml is empty.*delete the file/);
    await writeFile(join(path, 'a.yaml'), entry('a'));
    await watched.until(({ findings }) => findings.length === 0);
  }
  await writeFile(join(path, 'a.yaml'), '');
  await watched.until(({ findings }) => findings.length > 0);
  await writeFile(join(path, 'a.yaml'), '{apiVersion: v1, kind: List, items: []}');
  await watched.until((snapshot) => names(snapshot).join() === 'b' && snapshot.findings.length === 0);
  await rm(join(path, 'b.yaml'));
  await watched.until((snapshot) => names(snapshot).join() === '');
});

test('what breaks leaves the last good version in force', async (t) => {
  const path = await folder(t, { 'a.yaml': `${entry('a')}---\n${entry('b')}`, 'c.yaml': entry('c') });
  const watched = await follow(t, [path]);

  // One object broken: the other follows its change.
  await writeFile(join(path, 'a.yaml'), `${entry('a', 'a.example.com', '  resolutoin: DNS')}\n---\n${entry('b', 'new.example.com')}`);
  const half = await watched.until(({ findings }) => findings.length > 0);
  assert.deepEqual(names(half), ['a', 'b', 'c']);
  assert.equal(half.get('ServiceEntry', 'default', 'a')?.spec.resolution, 'NONE');
  assert.deepEqual(half.get('ServiceEntry', 'default', 'b')?.spec.hosts, ['new.example.com']);
  assert.deepEqual(codes(half), ['SP0008', 'SP0010']);
  assert.equal(half.findings[0]?.position?.line, 7);
  assert.equal(half.all().find(({ metadata }) => metadata.name === 'a')?.valid, false);

  // The whole file broken.
  await writeFile(join(path, 'a.yaml'), 'a: [');
  const whole = await watched.until(({ findings }) => findings.some(({ code }) => code === 'SP0001'));
  assert.deepEqual(names(whole), ['a', 'b', 'c']);
  assert.deepEqual(whole.get('ServiceEntry', 'default', 'b')?.spec.hosts, ['new.example.com']);

  // Mended, with one object less.
  await writeFile(join(path, 'a.yaml'), entry('b'));
  const mended = await watched.until(({ findings }) => findings.length === 0);
  assert.deepEqual(names(mended), ['b', 'c']);
});

test('of files only some of which are followed the others stay what they were, changed, removed or joined by more', async (t) => {
  const path = await folder(t, { 'given/a.yaml': entry('a'), 'given/b.yaml': entry('b'), 'followed.yaml': entry('c'), 'mesh.yaml': '' });
  const [followed, meshConfig] = [join(path, 'followed.yaml'), join(path, 'mesh.yaml')];
  const source = await openMeshFiles(
    { ...FAST, paths: [join(path, 'given'), followed], followed: [followed], meshConfig },
    { changed: () => undefined, failed: (error) => assert.fail(String(error)) },
  );
  t.after(() => source.close());
  await writeFile(join(path, 'given/a.yaml'), entry('other'));
  await rm(join(path, 'given/b.yaml'));
  await writeFile(join(path, 'given/more.yaml'), entry('more'));
  await writeFile(meshConfig, 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}');
  await writeFile(followed, entry('d'));
  const { snapshot, mesh } = await source.reload();
  assert.deepEqual(names(snapshot), ['a', 'b', 'd']);
  assert.deepEqual(mesh, source.first.mesh);
});
