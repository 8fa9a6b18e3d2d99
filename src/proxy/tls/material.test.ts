import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { CertificateValidationContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DownstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
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
