import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import type { Engine, Refusal } from '../engine/contract.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';
import { ControlPlane, type ProxiesFor } from './control-plane.ts';

const identity: ProxyIdentity = {
  type: 'sidecar',
  name: 'app',
  namespace: 'default',
  labels: {},
  serviceAccount: 'default',
  addresses: [],
  locality: '',
};

const entry = (host: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.split('.')[0]}, namespace: default }
spec: { hosts: [${host}], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1 }] }
---`;

/** Keeps what it is told, and refuses what `refuse` says. */
class Recorder implements Engine {
  readonly name = 'embedded';
  readonly failed = new Promise<Error>(() => {});
  readonly updates: XdsUpdate[] = [];
  refuse: (key: string) => boolean = () => false;
  closed = false;

  async apply(_resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    this.updates.push(update);
    return update.changed
      .map(({ type, name }) => `${type}/${name}`)
      .filter((key) => this.refuse(key))
      .map((key) => ({ resource: key, message: 'no', key }));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  changed(index: number): string[] {
    return this.updates[index]!.changed.map(({ type, name }) => `${type}/${name}`);
  }
}

function plane(proxiesFor: ProxiesFor = () => new Map([['a', identity]])) {
  const engines: Recorder[] = [];
  const controlPlane = new ControlPlane({
    graceMs: 0,
    proxiesFor,
    startEngine: async () => {
      const engine = new Recorder();
      engines.push(engine);
      return engine;
    },
  });
  const apply = (text: string) => controlPlane.apply({ snapshot: snapshotFromText(text), mesh: defaultMeshConfig() });
  return { apply, engines, controlPlane };
}

test('an engine gets all at first, then what changed, and nothing where nothing did', async () => {
  const { apply, engines } = plane();
  await apply(entry('one.example.com'));
  const first = await apply(entry('one.example.com'));
  assert.equal(engines[0]!.updates.length, 1);
  const second = await apply(entry('one.example.com') + entry('two.example.com'));
  assert.ok(engines[0]!.changed(1).includes('cluster/outbound|80||two.example.com'));
  assert.ok(!engines[0]!.changed(1).includes('cluster/outbound|80||one.example.com'));
  assert.notEqual(first.proxies[0]!.version, second.proxies[0]!.version);
});

test('what was refused is told, and sent again with the next change', async () => {
  const { apply, engines } = plane();
  await apply('');
  const engine = engines[0]!;
  engine.refuse = (key) => key === 'cluster/outbound|80||one.example.com';
  const { proxies } = await apply(entry('one.example.com'));
  assert.deepEqual(
    proxies[0]!.refusals.map(({ key }) => key),
    ['cluster/outbound|80||one.example.com'],
  );
  engine.refuse = () => false;
  const again = await apply(entry('one.example.com'));
  assert.deepEqual(engine.changed(2), ['cluster/outbound|80||one.example.com']);
  assert.deepEqual(again.proxies[0]!.refusals, []);
});

test('a proxy that is no longer wanted is ended, one that is new is started', async () => {
  let wanted = ['a'];
  const { apply, engines } = plane(() => new Map(wanted.map((key) => [key, identity])));
  await apply('');
  wanted = ['b'];
  await apply('');
  assert.deepEqual(
    engines.map(({ closed }) => closed),
    [true, false],
  );
});

test('a failed change leaves the next one free to be made', async () => {
  let fail = true;
  const { apply, engines } = plane(() => {
    if (fail) throw new Error('not yet');
    return new Map([['a', identity]]);
  });
  await assert.rejects(apply(''), /not yet/);
  fail = false;
  await apply('');
  assert.equal(engines[0]!.updates.length, 1);
});
