import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { InterceptionAuthority } from '../../ca/interception.ts';
import type { DataSource } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { CertificateValidationContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { CommonTlsContextSchema, DownstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { TlsContext } from './context.ts';
import { MaterialStore, readTrust } from './material.ts';
import { createServerTls } from './server.ts';

const validation = (json: JsonObject) => fromJson(CertificateValidationContextSchema, json, { registry: typeRegistry });

/** What would let fewer peers in. */
const LACKING: readonly (readonly [field: string, value: JsonObject[string]])[] = [
  ['custom_validator_config', { name: 'envoy.tls.cert_validator.spiffe' }],
  ['ca_certificate_provider_instance', { instanceName: 'roots' }],
  ['max_verify_depth', 1],
  ['require_signed_certificate_timestamp', true],
];

test('a validation that is not done is refused, wherever it stands: without it any certificate would do', () => {
  for (const [field, value] of LACKING) {
    const config = validation({ [field]: value });
    const type = { case: 'validationContext', value: config } as const;
    const combined = { case: 'combinedValidationContext', value: { defaultValidationContext: config } } as const;
    const refused = { code: 'xds-unsupported', message: new RegExp(`${field}: not supported`) };
    for (const validationContextType of [type, combined]) {
      const downstream = create(DownstreamTlsContextSchema, { commonTlsContext: { validationContextType } });
      assert.throws(() => createServerTls(downstream, new MaterialStore(), 'here'), refused);
    }
    const store = new MaterialStore();
    assert.throws(() => store.set(create(SecretSchema, { name: 'ca', type })), refused);
    assert.equal(store.secret('ca'), undefined);
  }
});

test('where the system has no CAs, nobody is verified by them, and nobody passes', () => {
  const config = validation({ systemRootCerts: {} });
  assert.deepEqual(
    readTrust(config, () => ({ missing: 'no such file' })),
    { missing: 'no such file' },
  );
  const bytes = Buffer.from('CAs');
  assert.deepEqual(
    readTrust(config, () => ({ bytes })),
    { ca: bytes, crl: undefined, config },
  );
});

test('of a pair that is being replaced the last good one stays, and whom it lets in is what is in force now', () => {
  const authority = new InterceptionAuthority(Date.now());
  const one = authority.issue('a.example');
  const two = authority.issue('b.example');
  const files = new Map<string, string | Buffer>([
    ['cert', one.chain],
    ['key', Buffer.from(one.key.reveal())],
    ['ca', authority.certificate],
  ]);
  const store = {
    generation: 1,
    read: ({ specifier }: DataSource) => ({ bytes: Buffer.from(files.get(String(specifier.value))!) }),
  };
  const named = (filename: string) => ({ filename });
  const config = fromJson(CommonTlsContextSchema, {
    tlsCertificates: [{ certificateChain: named('cert'), privateKey: named('key') }],
    validationContext: { trustedCa: named('ca') },
  });
  const context = new TlsContext(config, store as unknown as MaterialStore, 'here', { identity: 'x' });
  const state = (path: string, content: string) => {
    files.set(path, content);
    store.generation++;
    return context.state();
  };
  const first = context.state();
  assert.ok('secureContext' in first);
  assert.equal(state('cert', two.chain), first, 'the key is still the first one’s');
  const narrowed = state('ca', new InterceptionAuthority(Date.now()).certificate);
  assert.ok('secureContext' in narrowed && narrowed.id !== first.id, 'another CA is in force at once');
});

test('a secret that trusts the system verifies by it, though the configuration names no CA', () => {
  const asked: string[] = [];
  const store = {
    generation: 1,
    secret: () => create(SecretSchema, { name: 'ca', type: { case: 'validationContext', value: validation({ systemRootCerts: {} }) } }),
    read: ({ specifier }: DataSource) => {
      asked.push(String(specifier.value));
      return { missing: 'no such file' };
    },
  };
  const config = fromJson(CommonTlsContextSchema, {
    combinedValidationContext: { defaultValidationContext: {}, validationContextSdsSecretConfig: { name: 'ca' } },
  });
  const context = new TlsContext(config, store as unknown as MaterialStore, 'here', { identity: 'x' });
  assert.deepEqual(context.state(), { missing: 'no such file' });
  assert.equal(asked.length, 1);
});
