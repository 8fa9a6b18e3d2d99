import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { proxyOf } from '../../test/support/mesh.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { engineFleet } from './fleet.ts';
import { Loop, type LoopOptions, type Prepared } from './loop.ts';
import { entryText, inputOf, RecordingEngine } from './testing.ts';

const SIDECAR = proxyOf({ name: 'app' });

const CLUSTER = 'cluster/outbound|80||one.example.com';

const prepared = (input: MeshInput, proxies: ReadonlyMap<string, ProxyIdentity>): Prepared => ({
  input,
  findings: [],
  proxies: () => proxies,
});

function setup(options: Partial<LoopOptions> = {}, make: () => RecordingEngine = () => new RecordingEngine()) {
  const engines: (RecordingEngine & { key?: string })[] = [];
  const loop = new Loop({
    prepare: (input) => prepared(input, new Map([['a', SIDECAR]])),
    fleet: engineFleet({
      graceMs: 7,
      startEngine: async (key) => {
        const engine = Object.assign(make(), { key });
        engines.push(engine);
        return engine;
      },
    }),
    ...options,
  });
  return { loop, engines, apply: (text: string) => loop.apply(inputOf(text)) };
}

/** A gateway of its own for each name, and the proxies that `up` would start for them. */
const gateways = (names: readonly string[]) =>
  names
    .map(
      (name) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: default }
spec: { selector: { gateway: ${name} }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['${name}.example.com'] }] }
---`,
    )
    .join('');

const routerOf = (name: string): ProxyIdentity => ({ ...SIDECAR, type: 'router', name, labels: { gateway: name } });

function prepareGateways(input: MeshInput): Prepared {
  const routers = input.snapshot.list('Gateway').map(({ metadata: { name } }) => [name, routerOf(name)] as const);
  return prepared(input, new Map([...routers, ['sidecar', SIDECAR]]));
}

/** Lets what was settled run on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('an engine gets all at first, then what changed, and nothing where nothing did', async () => {
  const { apply, engines } = setup();
  await apply(entryText('one.example.com'));
  const first = await apply(entryText('one.example.com'));
  assert.equal(engines[0]!.updates.length, 1);
  const second = await apply(entryText('one.example.com') + entryText('two.example.com'));
  assert.ok(engines[0]!.changed(1).includes('cluster/outbound|80||two.example.com'));
  assert.ok(!engines[0]!.changed(1).includes(CLUSTER));
  assert.notEqual(first.proxies[0]!.version, second.proxies[0]!.version);
});

test('what was refused is told, and sent again with the next input', async () => {
  const { apply, engines } = setup();
  await apply('');
  const engine = engines[0]!;
  engine.refuse = (key) => key === CLUSTER;
  const { proxies } = await apply(entryText('one.example.com'));
  assert.deepEqual(
    proxies[0]!.refusals.map(({ key }) => key),
    [CLUSTER],
  );
  engine.refuse = () => false;
  const again = await apply(entryText('one.example.com'));
  assert.deepEqual(engine.changed(2), [CLUSTER]);
  assert.deepEqual(again.proxies[0]!.refusals, []);
});

test('an input that is applied twice is one turn, and both wait for it', async () => {
  let turns = 0;
  const { loop, engines } = setup({ inForce: () => turns++ });
  await loop.apply(inputOf(''));
  engines[0]!.hold();
  const input = inputOf(entryText('one.example.com'));
  const both = Promise.all([loop.apply(input), loop.apply(input)]);
  await settle();
  assert.notEqual(loop.report!.mesh.snapshot, input.snapshot, 'it is not in force yet');
  engines[0]!.release();
  const [one, two] = await both;
  assert.equal(one, two);
  assert.equal(turns, 2);
});

test('a proxy that is no longer wanted is ended once the others send nothing there, one that is new is started', async () => {
  const { loop, engines } = setup({ prepare: prepareGateways });
  await loop.apply(inputOf(gateways(['x'])));
  const [x, sidecar] = engines as [RecordingEngine, RecordingEngine];
  let ended = false;
  void x.closed.then(() => {
    ended = true;
  });
  sidecar.hold();
  const gone = loop.apply(inputOf(gateways(['y']) + entryText('one.example.com')));
  await settle();
  assert.equal(ended, false);
  sidecar.release();
  const report = await gone;
  assert.equal(await x.closed, 7);
  assert.deepEqual(
    report.proxies.map(({ identity }) => identity.name),
    ['app', 'y'],
  );
});

test('a proxy that is wanted again before it was ended goes on; one that is just ending is waited for', async () => {
  const { loop, engines } = setup({ prepare: prepareGateways });
  await loop.apply(inputOf(gateways(['x'])));
  const [x, sidecar] = engines as [RecordingEngine, RecordingEngine];
  sidecar.hold();
  const without = loop.apply(inputOf(entryText('one.example.com')));
  await settle();
  const again = loop.apply(inputOf(gateways(['x'])));
  sidecar.release();
  await Promise.all([without, again]);
  assert.equal(engines.length, 2);
  let finish = () => {};
  x.close = () =>
    new Promise<void>((resolve) => {
      finish = resolve;
    });
  await loop.apply(inputOf(''));
  const back = loop.apply(inputOf(gateways(['x'])));
  await settle();
  assert.equal(engines.length, 2);
  finish();
  await back;
  assert.equal(engines.length, 3);
});

test('a failed input leaves the next one free to be applied', async () => {
  let fail = true;
  const { apply, engines } = setup({
    prepare: (input) => {
      if (fail) throw new Error('not yet');
      return prepared(input, new Map([['a', SIDECAR]]));
    },
  });
  await assert.rejects(apply(''), /not yet/);
  fail = false;
  await apply('');
  assert.equal(engines[0]!.updates.length, 1);
});

test('an engine that cannot be started rejects the input, and is started anew with the next', async () => {
  let fail = true;
  const engine = new RecordingEngine();
  const { apply } = setup({
    fleet: engineFleet({
      graceMs: 7,
      startEngine: async () => {
        if (fail) throw new Error('no such binary');
        return engine;
      },
    }),
  });
  await assert.rejects(apply(''), /no such binary/);
  fail = false;
  await apply('');
  assert.equal(engine.updates.length, 1);
});

test('an engine that is slow delays no other, and what it misses meanwhile it gets at once', async () => {
  const { loop, engines } = setup({ prepare: prepareGateways });
  await loop.apply(inputOf(gateways(['slow', 'fast'])));
  const [slow, fast] = engines as [RecordingEngine, RecordingEngine];
  slow.hold();
  const waiting = [1, 2, 3].map((round) => {
    const routes = ['slow', 'fast'].map(
      (name) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: default }
spec: { hosts: [${name}.example.com], gateways: [${name}], http: [{ directResponse: { status: 20${round} } }] }
---`,
    );
    return loop.apply(inputOf(gateways(['slow', 'fast']) + routes.join('')));
  });
  while (fast.updates.length < 3) await settle();
  assert.equal(slow.updates.length, 2);
  assert.match(JSON.stringify(fast.resources.at(-1)!.routes, bigints), /203/);
  slow.release();
  const reports = await Promise.all(waiting);
  assert.equal(slow.updates.length, 3);
  assert.match(JSON.stringify(slow.resources.at(-1)!.routes, bigints), /203/);
  for (const report of reports) for (const proxy of report.proxies) if (proxy.identity.type === 'router') assert.ok(proxy.version);
});

test('quick inputs: every proxy runs what belongs to it in one and the same input', async () => {
  const { loop, engines } = setup({ prepare: prepareGateways });
  const quick = [['a', 'b'], [], ['c']].map((names) => loop.apply(inputOf(gateways(names))));
  // Whatever an engine is given for a gateway's router has that gateway's listener: no snapshot meets another one's routers.
  await Promise.all(quick);
  for (const engine of engines.filter(({ key }) => key !== 'sidecar')) {
    for (const { listeners } of engine.resources) assert.equal(listeners.length, 1, `router ${engine.key}`);
  }
  assert.deepEqual(loop.report!.proxies.map(({ identity }) => identity.name).sort(), ['app', 'c']);
});

test('whatever comes between, an input is in force for all when it resolves, or a later one is', async () => {
  const names = ['x', 'y', 'z'];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ wanted: fc.subarray(names), hold: fc.subarray(['sidecar', ...names]), pause: fc.boolean() }), { maxLength: 8 }),
      async (changes) => {
        const { loop, engines } = setup({ prepare: prepareGateways });
        const inputs: MeshInput[] = [];
        const applied: Promise<void>[] = [];
        for (const { wanted, hold, pause } of changes) {
          for (const engine of engines) if (hold.includes(engine.key!)) engine.hold();
          const input = inputOf(gateways(wanted));
          inputs.push(input);
          applied.push(
            loop.apply(input).then(({ mesh, proxies }) => {
              const at = inputs.findIndex(({ snapshot }) => snapshot === mesh.snapshot);
              assert.ok(at >= inputs.indexOf(input), 'this input or a later one');
              const routers = proxies.flatMap(({ identity }) => (identity.type === 'router' ? [identity.name] : []));
              const served = mesh.snapshot.list('Gateway').map(({ metadata }) => metadata.name);
              // A newer input may already have added or taken away proxies; those of this one have its listeners.
              for (const { identity, resources } of proxies)
                if (identity.type === 'router' && served.includes(identity.name)) assert.equal(resources.listeners.length, 1);
              if (at === inputs.length - 1) assert.deepEqual(routers.sort(), [...served].sort());
            }),
          );
          if (pause) await settle();
        }
        while (applied.length > 0) {
          for (const engine of engines) engine.release();
          if (await Promise.race([Promise.all(applied).then(() => true), settle().then(() => false)])) break;
        }
        await loop.close(0);
      },
    ),
    { numRuns: 60, seed: 1 },
  );
});

test('logs are opened anew by every proxy; what waits when it ends is rejected', async () => {
  const { loop, engines } = setup({ prepare: prepareGateways });
  await loop.apply(inputOf(gateways(['x'])));
  await loop.reopenLogs();
  assert.deepEqual(
    engines.map(({ reopened }) => reopened),
    [1, 1],
  );
  engines[0]!.hold();
  engines[1]!.hold();
  const late = loop.apply(inputOf(entryText('one.example.com')));
  const rejected = assert.rejects(late, { code: 'ended' });
  await loop.close(3);
  await rejected;
  assert.deepEqual(await Promise.all(engines.map(({ closed }) => closed)), [3, 3]);
});

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
