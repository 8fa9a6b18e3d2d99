import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyOf } from '../../test/support/mesh.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import { engineFleet } from './fleet.ts';
import type { ControlEvent } from './report.ts';
import { Session } from './session.ts';
import { entryText, inputOf, RecordingEngine } from './testing.ts';

const SIDECAR = proxyOf({ name: 'app' });

/** A VirtualService whose gateway is missing is a finding of analysis; a field that does not exist is one of reading. */
const LONELY = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: lonely, namespace: default }
spec: { hosts: [one.example.com], gateways: [missing], http: [{ directResponse: { status: 200 } }] }
---`;
const MISSPELT = entryText('one.example.com').replace('hosts:', 'locaton: MESH_EXTERNAL, hosts:');

function setup(analyse: boolean) {
  const engine = new RecordingEngine();
  const events: ControlEvent[] = [];
  let wake = () => {};
  const session = new Session({
    analyse,
    prepare: (input: MeshInput) => ({ input, findings: [], proxies: () => new Map([['a', SIDECAR]]) }),
    fleet: engineFleet({ graceMs: 0, startEngine: async () => engine }),
    tell: (event) => {
      events.push(event);
      wake();
    },
  });
  const said = () =>
    events.flatMap((event) =>
      event.kind === 'findings' ? [...event.fresh.map(({ code }) => code), ...event.mended.map(({ code }) => `-${code}`)] : [event.kind],
    );
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { session, engine, events, said, until };
}

test('findings are told once when they are new, and once when they are mended', async () => {
  const { session, said, events } = setup(false);
  await session.apply(inputOf(MISSPELT));
  assert.deepEqual(said(), ['SP0008']);
  await session.apply(inputOf(MISSPELT));
  await session.apply(inputOf(entryText('one.example.com')));
  assert.deepEqual(said(), ['SP0008', 'in-force', '-SP0008', 'in-force']);
  // The first is what it is ready with; what is read later says that it is in force, and how much of it is not.
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'in-force'),
    [1, 0].map((errors) => ({ kind: 'in-force', proxies: 1, errors })),
  );
});

test('a refusal is a finding, told when it is new and when it is mended', async () => {
  const { session, engine, said } = setup(false);
  engine.refuse = (key) => key.startsWith('cluster/outbound');
  await session.apply(inputOf(entryText('one.example.com')));
  await session.apply(inputOf(entryText('one.example.com')));
  assert.deepEqual(
    said().filter((what) => what !== 'in-force'),
    ['SP0017'],
  );
  await session.apply(inputOf(''));
  await session.apply(inputOf(entryText('one.example.com')));
  assert.deepEqual(
    said().filter((what) => what !== 'in-force'),
    ['SP0017', '-SP0017', 'SP0017'],
  );
});

test('a change is in force before it is analysed, and of quick changes the last alone is analysed', async () => {
  const { session, said, until } = setup(true);
  const first = await session.apply(inputOf(entryText('one.example.com') + LONELY));
  assert.ok(!first.findings.some(({ code }) => code === 'IST0101'));
  assert.deepEqual(said(), []);
  // The analysis of the first, which would find something, is given up.
  await session.apply(inputOf(MISSPELT + LONELY));
  await session.apply(inputOf(entryText('one.example.com') + LONELY.replace('lonely', 'other')));
  await until(() => said().includes('IST0101'));
  assert.deepEqual(
    session.report!.findings.filter(({ code }) => code === 'IST0101').map(({ origin }) => origin.name),
    ['other'],
  );
  assert.deepEqual(
    said()
      .filter((what) => what !== 'in-force')
      .slice(0, 2),
    ['SP0008', '-SP0008'],
  );
  await session.apply(inputOf(entryText('one.example.com')));
  await until(() => said().includes('-IST0101'));
});

test('what a source brings and cannot be brought into force is told; what is asked for is rejected', async () => {
  const { session, engine, said, events, until } = setup(false);
  await session.apply(inputOf(''));
  engine.apply = () => Promise.reject(new Error('it is being started again'));
  session.changed(inputOf(entryText('one.example.com')));
  await until(() => said().includes('failed'));
  assert.match(String((events[0] as Extract<ControlEvent, { kind: 'failed' }>).error), /started again/);
  await assert.rejects(session.apply(inputOf(entryText('two.example.com'))), /started again/);
  await session.close(0);
});
