import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText, proxyOf } from '../../test/support/mesh.ts';
import { originText } from '../lib/origin.ts';
import { Translations } from '../translate/classes.ts';
import { originsBehind, refusalFindings } from './refused.ts';

test('behind a resource stand the objects of the files that it was made of', () => {
  const mesh = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: one, namespace: default }
spec: { hosts: [one.example.com], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: rule, namespace: default }
spec: { hosts: [one.example.com], http: [{ route: [{ destination: { host: one.example.com } }], timeout: 3s }] }
`);
  const { resources } = new Translations(mesh).of(proxyOf({}));
  const behind = (key: string | undefined) =>
    originsBehind(resources, key).map(({ kind, namespace, name }) => originText({ kind, namespace, name }));
  assert.deepEqual(behind('cluster/outbound|80||one.example.com'), ['ServiceEntry default/one']);
  assert.ok(behind('route/80').includes('VirtualService default/rule'));
  assert.deepEqual(behind('virtualHost/80/one.example.com:80'), behind('route/80'));
  for (const none of [undefined, 'cluster/none', 'listener/none', 'route/none', 'virtualHost/80/none', 'secret/default'])
    assert.deepEqual(behind(none), []);
});

test('what several proxies refuse is one finding about the object, with its line', () => {
  const mesh = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: one, namespace: default }
spec: { hosts: [one.example.com], resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: 192.0.2.1 }] }
`);
  const identity = proxyOf({ name: 'app' });
  const { resources } = new Translations(mesh).of(identity);
  const refusals = [
    { resource: 'cluster outbound|80||one.example.com', key: 'cluster/outbound|80||one.example.com', message: 'too many hosts' },
    { resource: 'listener explicit', message: 'left out.' },
  ];
  const proxies = ['app', 'other'].map((name) => ({ identity: proxyOf({ name }), version: '1', refusals, resources }));
  const [refused, leftOut, ...more] = refusalFindings(proxies, mesh.snapshot);
  assert.deepEqual(more, []);
  assert.equal(refused!.level, 'Error');
  assert.equal(originText(refused!.origin), 'ServiceEntry default/one');
  assert.equal(refused!.position?.line, 2);
  assert.equal(
    refused!.message,
    'sidecar default/app and 1 more would not take cluster outbound|80||one.example.com: too many hosts. What was in force of it before stays in force there.',
  );
  assert.deepEqual(
    [leftOut!.level, originText(leftOut!.origin), leftOut!.message],
    ['Warning', 'Proxy default/app', 'sidecar default/app and 1 more would not take listener explicit: left out.'],
  );
});
