import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type MeshFilesOptions, type MeshInput, openMeshFiles } from './mesh-source.ts';

const entry = (host: string, name = 'a') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec: { hosts: [${host}], ports: [{ number: 80, name: http, protocol: HTTP }] }
`;

const meshMap = (mesh: string) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh } });

const hosts = ({ snapshot }: MeshInput) => snapshot.list('ServiceEntry').flatMap(({ spec }) => spec.hosts);
const mode = ({ mesh }: MeshInput) => mesh.outboundTrafficPolicy.mode;
const codes = ({ findings, snapshot }: MeshInput) => [...snapshot.findings, ...findings].map(({ code }) => code);

const FAST = { coalesce: { quiet: 5, most: 1000 }, retry: { first: 5, most: 50 } };

function setup(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mesh-files-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `.${name}.new`), text);
    renameSync(join(folder, `.${name}.new`), join(folder, name));
    return join(folder, name);
  };
  return { folder, write };
}

/** A source, and what it gives in the order in which it comes. */
async function follow(t: TestContext, options: Pick<MeshFilesOptions, 'paths' | 'meshConfig' | 'absence'>) {
  const inputs: MeshInput[] = [];
  let wake = () => {};
  const source = await openMeshFiles(
    { ...FAST, ...options },
    {
      changed: (input) => {
        inputs.push(input);
        wake();
      },
      failed: (error) => assert.fail(String(error)),
    },
  );
  t.after(() => source.close());
  const until = async (holds: (input: MeshInput) => boolean): Promise<MeshInput> => {
    for (;;) {
      const found = inputs.find(holds);
      if (found) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { source, inputs, until };
}

test('a change of the MeshConfig file is followed, and a broken one leaves the settings that held', async (t) => {
  const { write } = setup(t);
  const resources = write('a.yaml', entry('a.example.com'));
  const meshConfig = write('mesh.json', '{"outboundTrafficPolicy":{"mode":"REGISTRY_ONLY"}}');
  const { source, until } = await follow(t, { paths: [resources], meshConfig });
  assert.equal(mode(source.first), 'REGISTRY_ONLY');
  source.watch();
  write('mesh.json', '{"outboundTrafficPolicy":{"mode":"ALLOW_ANY"}}');
  await until((input) => mode(input) === 'ALLOW_ANY');
  write('mesh.json', '{"outboundTrafficPolicy":{"mode":"NEITHER"}}');
  const broken = await until(({ findings }) => findings.some(({ level }) => level === 'Error'));
  assert.equal(mode(broken), 'ALLOW_ANY');
  assert.ok(codes(broken).includes('SP0010'));
  assert.ok(!codes(broken).includes('SP0011'));
});

for (const [what, change] of Object.entries({
  emptied: ({ write }: ReturnType<typeof setup>) => write('mesh.json', '\n# nothing\n'),
  'a lone null': ({ write }: ReturnType<typeof setup>) => write('mesh.json', 'null'),
  deleted: ({ folder }: ReturnType<typeof setup>) => rmSync(join(folder, 'mesh.json')),
  undecodable: ({ write }: ReturnType<typeof setup>) => write('mesh.json', '{"outboundTrafficPolicy":'),
})) {
  test(`a MeshConfig file that is ${what} leaves the last good one in force, and that is said`, async (t) => {
    const files = setup(t);
    const meshConfig = files.write('mesh.json', '{"outboundTrafficPolicy":{"mode":"REGISTRY_ONLY"},"rootNamespace":"one"}');
    const { source } = await follow(t, { paths: [files.write('a.yaml', entry('a.example.com'))], meshConfig });
    change(files);
    const after = await source.reload();
    assert.equal(mode(after), 'REGISTRY_ONLY');
    assert.equal(after.mesh.rootNamespace, 'one');
    assert.match(after.findings.map(({ message }) => message).join(), /the settings read before stay in force/);
    files.write('mesh.json', '{}');
    const meant = await source.reload();
    assert.equal(mode(meant), 'ALLOW_ANY');
    assert.deepEqual(meant.findings, []);
  });
}

for (const [what, text] of Object.entries({ deleted: entry('a.example.com'), emptied: `${meshMap('')}\n---${entry('a.example.com')}` })) {
  test(`a ConfigMap with MeshConfig that is ${what} leaves the last good one in force, and that is said`, async (t) => {
    const { write } = setup(t);
    const path = write('a.yaml', meshMap('outboundTrafficPolicy: { mode: REGISTRY_ONLY }'));
    const { source } = await follow(t, { paths: [path], meshConfig: undefined });
    write('a.yaml', text);
    const after = await source.reload();
    assert.equal(mode(after), 'REGISTRY_ONLY');
    assert.deepEqual(codes(after), ['SP0010']);
  });
}

test('a MeshConfig that is broken from the start refuses, and goes on to when it disappears', async (t) => {
  const { write } = setup(t);
  const path = write('a.yaml', meshMap('outboundTraficPolicy: {}'));
  const { source } = await follow(t, { paths: [path], meshConfig: undefined });
  assert.equal(mode(source.first), 'REGISTRY_ONLY');
  write('a.yaml', entry('a.example.com'));
  assert.equal(mode(await source.reload()), 'REGISTRY_ONLY');
});

test('a reload sees what has changed without watching', async (t) => {
  const { write } = setup(t);
  const resources = write('a.yaml', entry('a.example.com'));
  const meshConfig = write('mesh.json', '{"rootNamespace":"one"}');
  const { source, inputs } = await follow(t, { paths: [resources], meshConfig });
  write('a.yaml', entry('b.example.com'));
  write('mesh.json', '{"rootNamespace":"two"}');
  const input = await source.reload();
  assert.deepEqual(hosts(input), ['b.example.com']);
  assert.equal(input.mesh.rootNamespace, 'two');
  assert.deepEqual(inputs, [input]);
});

test('of many reloads at once each resolves with what was written before it was asked for, also beside the watcher', async (t) => {
  const { write } = setup(t);
  const path = write('a.yaml', entry('v0.example.com'));
  const { source, inputs } = await follow(t, { paths: [path], meshConfig: undefined });
  source.watch();
  const versionOf = (input: MeshInput) => Number(/^v(\d+)/.exec(hosts(input)[0]!)![1]);
  for (let round = 0; round < 40; round++) {
    write('a.yaml', entry(`v${round}.example.com`));
    const reloads = [source.reload(), source.reload()];
    await new Promise<void>((resolve) => setImmediate(resolve));
    reloads.push(source.reload());
    for (const input of await Promise.all(reloads)) {
      assert.ok(versionOf(input) >= round, `round ${round}: ${hosts(input)}`);
      assert.ok(inputs.includes(input), 'what is confirmed was given to whoever brings it into force');
    }
  }
  const order = inputs.map(versionOf);
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
});

test('a file that is written while it is read is read again', async (t) => {
  const { folder, write } = setup(t);
  const path = write('a.yaml', entry('aa.example.com'));
  const { source } = await follow(t, { paths: [path], meshConfig: undefined });
  // In place and of the same length, so that only times tell.
  for (let round = 0; round < 50; round++) {
    const host = `${String.fromCharCode(97 + (round % 26))}${String.fromCharCode(97 + ((round * 7) % 26))}.example.com`;
    const early = source.reload();
    writeFileSync(join(folder, 'a.yaml'), entry(host));
    await early;
    assert.deepEqual(hosts(await source.reload()), [host], `round ${round}`);
  }
});

test('a change made while file descriptors are exhausted is read when they are back', {
  skip: process.platform !== 'linux' && 'needs Linux: a limit of descriptors that can be reached',
}, async (t) => {
  const { write } = setup(t);
  const path = write('a.yaml', `${entry('a.example.com')}---\n${meshMap('outboundTrafficPolicy: { mode: REGISTRY_ONLY }')}`);
  const { source, until } = await follow(t, { paths: [path], meshConfig: undefined });
  source.watch();
  write('a.yaml', `${entry('changed.example.com')}---\n${meshMap('outboundTrafficPolicy: { mode: REGISTRY_ONLY }')}`);
  const held: number[] = [];
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE');
  }
  const during = await source.reload().finally(() => {
    for (const fd of held) closeSync(fd);
  });
  assert.deepEqual(hosts(during), ['a.example.com']);
  assert.equal(mode(during), 'REGISTRY_ONLY');
  assert.ok(codes(during).includes('SP0002'), codes(during).join());
  // Nobody touches the file or asks for it again.
  const after = await until((input) => hosts(input)[0] === 'changed.example.com');
  assert.deepEqual(codes(after), []);
});

test('a file that is removed before another takes its place does not lose its objects in between', async (t) => {
  const { folder, write } = setup(t);
  const path = write('a.yaml', entry('a.example.com'));
  let replace = () => write('a.yaml', entry('b.example.com'));
  const { source, inputs } = await follow(t, { paths: [folder], meshConfig: undefined, absence: async () => replace() });
  rmSync(path);
  assert.deepEqual(hosts(await source.reload()), ['b.example.com']);
  assert.ok(inputs.every((input) => hosts(input).length === 1));
  replace = () => '';
  rmSync(path);
  assert.deepEqual(hosts(await source.reload()), []);
});

test('other paths take the place of those before, unless they cannot be read', async (t) => {
  const { write } = setup(t);
  const one = write('one.yaml', meshMap('outboundTrafficPolicy: { mode: REGISTRY_ONLY }'));
  const two = write('two.yaml', entry('two.example.com'));
  const { source } = await follow(t, { paths: [one], meshConfig: undefined });
  await assert.rejects(source.use(['/does/not/exist']));
  assert.equal(mode(await source.reload()), 'REGISTRY_ONLY');
  // The MeshConfig belongs to the paths.
  assert.equal(mode(await source.use([two])), 'ALLOW_ANY');
  assert.deepEqual(hosts(await source.reload()), ['two.example.com']);
});
