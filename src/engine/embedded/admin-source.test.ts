import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeJson } from '../../xds/node.ts';
import { withBuild } from './admin-source.ts';

test('the node names its build as Envoy does, so that tools print a version', () => {
  const identity = {
    type: 'sidecar',
    name: 'a',
    namespace: 'b',
    addresses: [],
    labels: {},
    locality: '',
    serviceAccount: 'default',
  } as const;
  assert.deepEqual(withBuild(nodeJson(identity), '1.22.3-rc.1').userAgentBuildVersion, {
    version: { majorNumber: 1, minorNumber: 22, patch: 3 },
    metadata: { 'build.type': 'RELEASE' },
  });
});
