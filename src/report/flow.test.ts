import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowOf } from '../flows/testing.ts';
import { flowText } from './flow.ts';
import { plain } from './paint.ts';

/** Without the clock, which is that of this machine. */
const line = (fields: Parameters<typeof flowOf>[0]) => flowText(flowOf(fields), plain).replace(/^\d\d:\d\d:\d\d\.678 {2}/, '');

test('a flow is one line', () => {
  assert.equal(
    line({ kind: 'begin', verdict: undefined, protocol: 'http', method: 'GET', port: 80, path: '/a', cluster: 'outbound|80||x' }),
    'begins  http 127.0.0.1:40000           → GET www.example.com:80/a                      outbound|80||x',
  );
  assert.equal(
    line({ gateway: 'istio-system/istio-egressgateway' }),
    'allowed tls  127.0.0.1:40000           → www.example.com:443                           ↑10 B ↓20 B  1.5 ms  by gateway istio-system/istio-egressgateway',
  );
  assert.equal(
    line({ process: { pid: 4242, name: 'npm' }, verdict: 'refused', reason: 'not allowed', duration: 12.3 }),
    'refused tls  npm[4242]                 → www.example.com:443                           ↑10 B ↓20 B  12 ms  not allowed',
  );
  assert.equal(
    line({
      role: 'router',
      proxy: 'a/gw',
      host: '2001:db8::1',
      verdict: 'failed',
      reason: 'connection refused',
      responseFlags: ['UF', 'URX'],
    }),
    'failed  tls  gateway a/gw              → [2001:db8::1]:443                             ↑10 B ↓20 B  1.5 ms  connection refused  (UF,URX)',
  );
  assert.equal(
    line({
      protocol: 'dns',
      port: 0,
      verdict: 'refused',
      reason: 'nothing declares the name',
      bytesSent: 12_345,
      bytesReceived: 12_345_678,
    }),
    'refused dns  127.0.0.1:40000           → www.example.com                               ↑12 kB ↓12 MB  1.5 ms  nothing declares the name',
  );
  const dropped = flowText({ kind: 'dropped', time: '2026-01-02T03:04:05.678Z', count: 7 }, plain);
  assert.match(dropped, /7 lines left out: this reader is too slow$/);
});
