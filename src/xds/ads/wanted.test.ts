import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { encoded } from '../encode.ts';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import {
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Entries } from './received.ts';
import { leftToAgent, wantedBy } from './wanted.ts';

const ads = { configSourceSpecifier: { case: 'ads' as const, value: {} } };
const file = { configSourceSpecifier: { case: 'path' as const, value: '/secret.yaml' } };
const common = create(CommonTlsContextSchema, {
  tlsCertificateSdsSecretConfigs: [
    { name: 'default', sdsConfig: ads },
    { name: 'own', sdsConfig: file },
  ],
  validationContextType: {
    case: 'combinedValidationContext',
    value: { validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ads } },
  },
});
const upstream = anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { commonTlsContext: common }));
const downstream = anyPack(DownstreamTlsContextSchema, create(DownstreamTlsContextSchema, { commonTlsContext: common }));
const socketOf = (value: typeof upstream) => ({ name: 'tls', configType: { case: 'typedConfig' as const, value } });

test('a cluster needs its endpoints by their own name, and the secrets that the control plane has', () => {
  const message = create(ClusterSchema, {
    name: 'a',
    edsClusterConfig: { serviceName: 'endpoints-of-a' },
    transportSocketMatches: [{ name: 'mesh', transportSocket: socketOf(upstream) }],
  });
  const { bytes, version } = encoded(ClusterSchema, message);
  const resource = { type: 'cluster', name: 'a', version, bytes: bytes() } as const;
  const entries: Entries = new Map([['a', { resource, message, sent: { name: 'a', version: '1' } }]]);
  const { endpoint, route, secret } = wantedBy(entries);
  assert.deepEqual([[...endpoint], [...route], [...secret].sort()], [['endpoints-of-a'], [], ['ROOTCA', 'default']]);
});

test('a listener needs the secrets of every chain', () => {
  const message = create(ListenerSchema, { name: 'l', filterChains: [{}], defaultFilterChain: { transportSocket: socketOf(downstream) } });
  const { bytes, version } = encoded(ListenerSchema, message);
  const resource = { type: 'listener', name: 'l', version, bytes: bytes() } as const;
  const { secret } = wantedBy(new Map([['l', { resource, message, sent: { name: 'l', version: '1' } }]]));
  assert.deepEqual([...secret].sort(), ['ROOTCA', 'default']);
});

test('secrets of another server are not asked of the control plane', () => {
  const agent = { configSourceSpecifier: { case: 'apiConfigSource' as const, value: {} } };
  const commonTlsContext = {
    tlsCertificateSdsSecretConfigs: [
      { name: 'default', sdsConfig: agent },
      { name: 'theirs', sdsConfig: ads },
    ],
  };
  const context = anyPack(UpstreamTlsContextSchema, create(UpstreamTlsContextSchema, { commonTlsContext }));
  const cluster = create(ClusterSchema, { name: 'a', transportSocket: socketOf(context) });
  assert.deepEqual([...leftToAgent({ clusters: [cluster], listeners: [] })], ['default']);
  const { bytes, version } = encoded(ClusterSchema, cluster);
  const resource = { type: 'cluster', name: 'a', version, bytes: bytes() } as const;
  assert.deepEqual([...wantedBy(new Map([['a', { resource, message: cluster, sent: { name: 'a', version: '1' } }]])).secret], ['theirs']);
});
