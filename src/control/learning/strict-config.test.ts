import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { strictConfigText } from './strict-config.ts';

test('what is set stays, whether it is a MeshConfig alone, in a ConfigMap, or none', () => {
  const strict = { mode: 'REGISTRY_ONLY' };
  const configMap = 'kind: ConfigMap\ndata:\n  mesh: |\n    accessLogFile: /dev/stdout\n    outboundTrafficPolicy: {mode: ALLOW_ANY}\n';
  assert.deepEqual(parse(strictConfigText(configMap)), { accessLogFile: '/dev/stdout', outboundTrafficPolicy: strict });
  assert.deepEqual(parse(strictConfigText('rootNamespace: mesh')), { rootNamespace: 'mesh', outboundTrafficPolicy: strict });
  assert.deepEqual(parse(strictConfigText('')), { outboundTrafficPolicy: strict });
});
