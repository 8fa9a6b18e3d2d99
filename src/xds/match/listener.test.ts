import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { compileListeners, listenerAddresses } from './listener.ts';

const at = (address: string, port: JsonObject = { port_value: 80 }): JsonObject => ({ socket_address: { address, ...port } });
const config = (address: JsonObject, ...more: JsonObject[]) =>
  fromJson(ListenerSchema, { address, additional_addresses: more.map((each) => ({ address: each })) });

test('a connection goes to the listener of its address, else of any address of its family, else of any at all', () => {
  const table = compileListeners([
    { config: config(at('0.0.0.0')), value: 'any' },
    { config: config(at('::')), value: 'any6' },
    { config: config(at('10.0.0.1'), at('10.0.0.2')), value: 'own' },
    { config: config(at('10.0.0.2')), value: 'later' },
    { config: config(at('::', { port_value: 81 })), value: 'dual' },
  ]);
  assert.deepEqual(
    ['10.0.0.1', '10.0.0.2', '10.0.0.3', '2001:db8::1'].map((ip) => table.match(ip, 80)),
    ['own', 'own', 'any', 'any6'],
  );
  assert.deepEqual([table.match('10.0.0.1', 81), table.match('10.0.0.1', 82), table.match('/run/x', 80)], ['dual', undefined, undefined]);
});

test('addresses: unix sockets have none, and a port that is named is not known', () => {
  assert.deepEqual(listenerAddresses(config({ pipe: { path: '/run/x' } }, at('10.0.0.1'))), [{ ip: '10.0.0.1', port: 80 }]);
  assert.deepEqual(listenerAddresses(config(at('10.0.0.1', { named_port: 'http' }))), [{ ip: '10.0.0.1', port: 0 }]);
});
