import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { typeRegistry } from '../type-registry.ts';
import { verifiesServer } from './verified-tls.ts';

const TYPES = 'type.googleapis.com/envoy.extensions.transport_sockets';
const tls = (commonTlsContext: JsonObject): JsonObject => ({
  name: 'tls',
  typedConfig: { '@type': `${TYPES}.tls.v3.UpstreamTlsContext`, commonTlsContext },
});
const CA: JsonObject = { trustedCa: { filename: '/ca.pem' } };
const named = (...names: readonly JsonObject[]): JsonObject => ({
  matchTypedSubjectAltNames: names.map((matcher) => ({ sanType: 'DNS', matcher })),
});
const exactly = (...names: readonly string[]) => named(...names.map((exact) => ({ exact })));
const verifying = (context: JsonObject) => tls({ validationContext: context });

function verifies(transportSocket: JsonObject | undefined, more: JsonObject = {}, host = 'a.example'): boolean {
  const cluster = fromJson(ClusterSchema, { name: 'c', ...(transportSocket && { transportSocket }), ...more }, { registry: typeRegistry });
  const answer = verifiesServer(cluster, host);
  assert.equal(verifiesServer(cluster, host), answer, 'asked again');
  return answer;
}

test('a server has shown that it is the host by a certificate of a trusted CA with that very name', () => {
  assert.equal(verifies(verifying({ ...CA, ...exactly('a.example') })), true);
  assert.equal(verifies(verifying({ ...CA, matchSubjectAltNames: [{ exact: 'a.example' }] })), true);
  assert.equal(verifies(verifying({ systemRootCerts: {}, ...exactly('a.example') })), true);
  const combined = { defaultValidationContext: exactly('a.example'), validationContextSdsSecretConfig: { name: 'ROOTCA' } };
  assert.equal(verifies(tls({ combinedValidationContext: combined })), true);
});

test('not by another name, one of several, or what is no name', () => {
  const by = (names: JsonObject) => verifies(verifying({ ...CA, ...names }));
  assert.equal(by(exactly('b.example')), false);
  assert.equal(by(exactly('a.example', 'b.example')), false);
  assert.equal(by({}), false);
  const loose: readonly JsonObject[] = [{ prefix: 'a.example' }, { suffix: 'a.example' }, { safeRegex: { regex: 'a.example' } }];
  for (const matcher of loose) assert.equal(by(named(matcher)), false, JSON.stringify(matcher));
  assert.equal(by(named({ exact: 'a.example' }, { suffix: '.example' })), false);
});

test('not without a CA, where what does not verify is accepted, or without TLS', () => {
  assert.equal(verifies(verifying(exactly('a.example'))), false);
  assert.equal(verifies(verifying({ ...CA, ...exactly('a.example'), trustChainVerification: 'ACCEPT_UNTRUSTED' })), false);
  assert.equal(verifies(tls({})), false);
  assert.equal(verifies(undefined), false);
  const raw: JsonObject = { name: 'raw', typedConfig: { '@type': `${TYPES}.raw_buffer.v3.RawBuffer` } };
  assert.equal(verifies(raw), false);
  const transportSocketMatches: JsonObject[] = [{ name: 'raw', match: {}, transportSocket: raw }];
  assert.equal(
    verifies(verifying({ ...CA, ...exactly('a.example') }), { transportSocketMatches }),
    false,
    'some endpoints may be called otherwise',
  );
});

test('TLS within a tunnel counts', () => {
  const within = (transportSocket: JsonObject): JsonObject => ({
    name: 'internal',
    typedConfig: { '@type': `${TYPES}.internal_upstream.v3.InternalUpstreamTransport`, transportSocket },
  });
  assert.equal(verifies(within(verifying({ ...CA, ...exactly('a.example') }))), true);
  assert.equal(verifies(within(verifying(exactly('a.example')))), false);
});
