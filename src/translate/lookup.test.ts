import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GOLDENS, meshOf } from '../../test/golden/cases.ts';
import { meshFromText, proxyOf, proxyOfWorkload } from '../../test/support/mesh.ts';
import { BLACK_HOLE_CLUSTER } from '../xds/names.ts';
import { translate } from './index.ts';
import { inboundLookup, translationLookup } from './lookup.ts';
import { hostnamesIn, INBOUND_PASSTHROUGH_CLUSTER, VIRTUAL_INBOUND_LISTENER } from './names.ts';

for (const golden of GOLDENS) {
  test(`one by one the resources are those of the whole translation: ${golden.name}`, () => {
    const mesh = meshOf(golden);
    for (const name of golden.proxies) {
      const proxy = proxyOfWorkload(name, mesh);
      const { resources } = translate(proxy, mesh);
      const lookup = translationLookup(proxy, mesh);
      // Another order than the translation's own.
      for (const each of resources.listeners.toReversed()) assert.deepEqual(lookup.listener(each.name), each);
      for (const each of resources.clusters.toReversed()) assert.deepEqual(lookup.cluster(each.name), each);
      for (const each of resources.routes.toReversed()) assert.deepEqual(lookup.routes(each.name), each);
      for (const each of resources.endpoints) assert.deepEqual(lookup.endpoints(each.clusterName), each);
      for (const each of resources.secrets) assert.deepEqual(lookup.secret(each.name), each, each.name);
      assert.deepEqual(lookup.listeners(), resources.listeners);
      assert.deepEqual(lookup.nameTable(), resources.nameTable);
      if (proxy.type === 'router') continue;
      const inbound = inboundLookup(proxy, mesh);
      const isInbound = (cluster: string) => /^(inbound\|.*|InboundPassthroughCluster|BlackHoleCluster)$/.test(cluster);
      assert.deepEqual(
        inbound.listener(VIRTUAL_INBOUND_LISTENER),
        resources.listeners.find((each) => each.name === VIRTUAL_INBOUND_LISTENER),
      );
      for (const each of resources.clusters.filter((cluster) => isInbound(cluster.name)))
        assert.deepEqual(inbound.cluster(each.name), each);
    }
  });
}

test('what is not there is not found', () => {
  const mesh = meshFromText('');
  const lookup = translationLookup(proxyOf(), mesh);
  assert.equal(lookup.cluster('outbound|80||nobody.example.com'), undefined);
  assert.equal(lookup.endpoints('outbound|80||nobody.example.com'), undefined);
  assert.equal(lookup.cluster('nobody'), undefined);
  assert.equal(lookup.routes('80'), undefined);
  assert.equal(lookup.listener('0.0.0.0_80'), undefined);
  assert.equal(lookup.secret('kubernetes://none'), undefined);
  assert.deepEqual(
    [INBOUND_PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER].map((name) => lookup.cluster(name)?.name),
    [INBOUND_PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER],
  );
});

test('the hostname of a cluster is the last part of its name', () => {
  assert.deepEqual(hostnamesIn('outbound|80|v1|www.example.com'), ['www.example.com']);
  assert.deepEqual(hostnamesIn('outbound_.80_.v1_.www.example.com'), ['www.example.com']);
  assert.deepEqual(hostnamesIn('outbound_.80_._.a_.example.com'), ['a_.example.com', 'example.com']);
  assert.deepEqual(hostnamesIn('BlackHoleCluster'), []);
});
