import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { UpstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { encodeSet, listIn } from '../xds/update.ts';
import { OwnSecrets, type OwnSecretsEvent, type OwnSecretsOptions } from './own-secrets.ts';

const sdsConfig = { configSourceSpecifier: { case: 'apiConfigSource', value: {} } } as const;

function publicationWith(...names: readonly string[]) {
  const commonTlsContext = { tlsCertificateSdsSecretConfigs: names.map((name) => ({ name, sdsConfig })) };
  const value = anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { commonTlsContext }));
  const clusters = [create(ClusterSchema, { name: 'c', transportSocket: { name: 'tls', configType: { case: 'typedConfig', value } } })];
  const resources = { clusters, endpoints: [], listeners: [], routes: [], secrets: [], nameTable: create(NameTableSchema) };
  return { set: encodeSet(resources), resources };
}

function ownSecrets(identity: OwnSecretsOptions['identity']) {
  const events: OwnSecretsEvent[] = [];
  return { events, own: new OwnSecrets({ identity, tell: (event) => events.push(event), changed: () => {} }) };
}

test('files that resources name are secrets, and so is an identity in files', () => {
  const { own } = ownSecrets({ kind: 'files', ca: '/ca', certificate: '/own', key: '/key' });
  const names = ['ROOTCA', 'default', 'file-cert:/a/cert~/a/key', 'file-root:/a/ca', 'file-root:system'];
  const { set, resources } = own.over(publicationWith(...names, 'unknown'));
  assert.deepEqual(
    listIn(set, 'secret').all.map(({ name }) => name),
    names,
  );
  const files = JSON.stringify(resources.secrets)
    .match(/"filename","value":"[^"]+"/g)!
    .map((text) => text.slice(20, -1));
  assert.deepEqual(files, ['/ca', '/own', '/key', '/a/cert', '/a/key', '/a/ca', '/etc/ssl/certs/ca-certificates.crt']);
  assert.equal(own.awaited, false);
});

test('what needs nothing from here stays as it is', () => {
  const publication = publicationWith();
  assert.equal(ownSecrets(undefined).own.over(publication), publication);
});

test('without an identity it is said once that what needs it is closed', () => {
  const { own, events } = ownSecrets(undefined);
  const publication = publicationWith('default');
  for (const _ of [1, 2]) assert.equal(own.over(publication), publication);
  assert.deepEqual(events, [{ kind: 'no-identity' }]);
});

test('a CA is asked when the identity is needed, and waited for', (t) => {
  const request = t.mock.fn(() => new Promise<never>(() => {}));
  const { own } = ownSecrets({ kind: 'ca', request });
  t.after(() => own.close());
  own.over(publicationWith('file-root:/a'));
  assert.deepEqual([request.mock.callCount(), own.awaited], [0, false]);
  own.over(publicationWith('ROOTCA', 'default'));
  assert.deepEqual([request.mock.callCount(), own.awaited], [1, true]);
});
