import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { CompressorSchema } from '../../xds/gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import type { ManagerOptions } from '../options.ts';
import { CompressorFilter } from './compressor.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.compression';
const GZIP = `${TYPE}.gzip.compressor.v3.Gzip`;

const made = (config: JsonObject, library: JsonObject = { '@type': GZIP }) => {
  const json = { compressorLibrary: { name: 'l', typedConfig: library }, ...config };
  return new CompressorFilter('c', fromJson(CompressorSchema, json, { registry: typeRegistry }), 'here', {} as ManagerOptions);
};

test('what is not known of it is refused by name', () => {
  const refused = (config: JsonObject, message: RegExp) => assert.throws(() => made(config), { code: 'xds-unsupported', message });
  refused({ contentLength: 5 }, /here\.content_length/);
  refused({ requestDirectionConfig: {} }, /here\.request_direction_config/);
  refused({ responseDirectionConfig: { statusHeaderEnabled: true } }, /here\.response_direction_config\.status_header_enabled/);
  refused({ responseDirectionConfig: { commonConfig: { contentTypeMatcher: [{ exact: 'a' }] } } }, /content_type_matcher/);
  refused({ compressorLibrary: { name: 'l' } }, /here\.compressor_library: the library without a type/);
  const off = { defaultValue: false, runtimeKey: 'off' };
  assert.doesNotThrow(() => made({ requestDirectionConfig: { commonConfig: { enabled: off } } }));
});

test('settings that Envoy does not take are refused', () => {
  const refused = (library: JsonObject, message: RegExp, code = 'xds-invalid') => assert.throws(() => made({}, library), { code, message });
  refused({ '@type': GZIP, windowBits: 8 }, /compressor_library\.window_bits/);
  refused({ '@type': GZIP, memoryLevel: 10 }, /compressor_library\.memory_level/);
  refused({ '@type': `${TYPE}.brotli.compressor.v3.Brotli`, quality: 12 }, /compressor_library\.quality/);
  refused({ '@type': `${TYPE}.zstd.compressor.v3.Zstd`, dictionary: { inlineString: 'a' } }, /dictionary/, 'xds-unsupported');
});
