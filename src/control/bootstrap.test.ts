import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BootstrapEvent, bootstrapIdentity, followBootstrap, openBootstrap } from './bootstrap.ts';
import { RecordingEngine } from './testing.ts';

const FAST = { coalesce: { quiet: 5, most: 1000 }, retry: { first: 5, most: 50 } };

function setup(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bootstrap-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `.${name}`), text);
    renameSync(join(folder, `.${name}`), join(folder, name));
    return join(folder, name);
  };
  const clusters = (...names: readonly string[]) =>
    write(
      'cds.json',
      JSON.stringify({ resources: names.map((name) => ({ '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name })) }),
    );
  const file = write(
    'envoy.json',
    JSON.stringify({
      node: { id: 'router~127.0.0.1~edge.outside~outside.svc.cluster.local', cluster: 'edge' },
      dynamic_resources: { cds_config: { path_config_source: { path: clusters('one') } } },
    }),
  );
  return { file, write, clusters };
}

/** What is told, one event after the other. */
function listener() {
  const events: BootstrapEvent[] = [];
  let wake = () => {};
  return {
    tell: (event: BootstrapEvent) => {
      events.push(event);
      wake();
    },
    next: async (): Promise<BootstrapEvent> => {
      while (events.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return events.shift()!;
    },
  };
}

test('it follows its files, and what breaks leaves what was in force', async (t) => {
  const { file, write, clusters } = setup(t);
  const engine = new RecordingEngine();
  const { tell, next } = listener();
  const proxy = await followBootstrap(openBootstrap(file), engine, tell, FAST);
  t.after(() => proxy.close());
  assert.deepEqual(proxy.refused, []);
  assert.ok(engine.changed(0).includes('cluster/one'));
  proxy.watch();
  clusters('one', 'two');
  assert.deepEqual(await next(), { kind: 'in-force', refused: [] });
  assert.deepEqual(engine.changed(1), ['cluster/two']);
  write('cds.json', 'resources: [');
  const broken = await next();
  assert.equal(broken.kind, 'failed');
  engine.refuse = (key) => key === 'cluster/three';
  clusters('three');
  const mended = await next();
  assert.deepEqual(mended.kind === 'in-force' && mended.refused.map(({ key }) => key), ['cluster/three']);
  assert.deepEqual(
    engine.updates[2]!.removed.map(({ name }) => name),
    ['one', 'two'],
  );
});

test('a reload reads the files unwatched, and sends what was refused once more', async (t) => {
  const { file, clusters } = setup(t);
  const engine = new RecordingEngine();
  const { tell, next } = listener();
  engine.refuse = (key) => key === 'cluster/one';
  const proxy = await followBootstrap(openBootstrap(file), engine, tell, FAST);
  t.after(() => proxy.close());
  assert.equal(proxy.refused.length, 1);
  engine.refuse = () => false;
  clusters('one', 'two');
  await proxy.reload();
  await next();
  assert.deepEqual(engine.changed(1), ['cluster/one', 'cluster/two']);
});

test('the first change that the engine cannot take over ends it', async (t) => {
  const { file } = setup(t);
  const engine = new RecordingEngine();
  engine.apply = () => Promise.reject(new Error('no port'));
  await assert.rejects(
    followBootstrap(openBootstrap(file), engine, () => assert.fail('nothing is to be told')),
    /no port/,
  );
});

test('the node of the bootstrap names the workload', (t) => {
  const { type, name, namespace, addresses } = bootstrapIdentity(openBootstrap(setup(t).file));
  assert.deepEqual({ type, name, namespace, addresses }, { type: 'router', name: 'edge', namespace: 'outside', addresses: ['127.0.0.1'] });
});
