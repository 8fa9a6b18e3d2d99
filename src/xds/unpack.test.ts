import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { TcpProxySchema } from './gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { TypedStructSchema as UdpaTypedStructSchema } from './gen/udpa/type/v1/typed_struct_pb.js';
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.js';
import { typeNameOf, unpack } from './unpack.ts';

const TYPE = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

test('a TypedStruct of either kind stands for a message of the type that it names', () => {
  for (const schema of [TypedStructSchema, UdpaTypedStructSchema]) {
    const any = anyPack(schema, create(schema, { typeUrl: `type.googleapis.com/${TYPE}`, value: { stat_prefix: 's', cluster: 'c' } }));
    assert.equal(typeNameOf(any), TYPE);
    const { statPrefix, clusterSpecifier } = unpack(any, TcpProxySchema, 'here');
    assert.deepEqual([statPrefix, clusterSpecifier], ['s', { case: 'cluster', value: 'c' }]);
  }
});

test('one of another type, or with fields that the type does not have, is refused', () => {
  const of = (typeUrl: string, value: { [name: string]: string }) =>
    unpack(anyPack(TypedStructSchema, create(TypedStructSchema, { typeUrl, value })), TcpProxySchema, 'here');
  assert.throws(() => of('type.googleapis.com/other.Type', {}), {
    code: 'xds-invalid',
    message: /here: typed_config is a other\.Type, expected/,
  });
  assert.throws(() => of(`type.googleapis.com/${TYPE}`, { nothing: 'x' }), {
    code: 'xds-invalid',
    message: /does not decode as .*nothing/,
  });
  assert.equal(typeNameOf(anyPack(TypedStructSchema, create(TypedStructSchema))), '');
});
