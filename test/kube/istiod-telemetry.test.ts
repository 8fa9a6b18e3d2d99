/** Telemetry's metrics overrides as Istio's own control plane sends them, at `sallyport proxy --xds`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCases } from '../calls/cases.ts';
import { needs } from '../integration/tools.ts';
import { needsIstiod } from './istiod.ts';
import { IstiodMesh } from './istiod-mesh.ts';

const skip = needsIstiod() || needs('openssl');

const TELEMETRY = `
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: changed, namespace: istio-system }
spec:
  metrics:
    - providers: [{ name: prometheus }]
      overrides:
        - match: { metric: REQUEST_COUNT, mode: CLIENT }
          tagOverrides:
            response_code: { operation: REMOVE }
            how: { value: request.method }
        - match: { metric: REQUEST_DURATION, mode: CLIENT }
          disabled: true
`;

test('labels go and come, and metrics go, as Telemetry says', { skip, timeout: 900_000 }, async (t) => {
  const mesh = await IstiodMesh.start('delta');
  t.after(() => mesh.stop());
  const { config, mesh: settings, calls } = loadCases().find(({ name }) => name === 'direct-response')!;
  await mesh.apply({ config: config + TELEMETRY, mesh: { ...settings, defaultProviders: { metrics: ['prometheus'] } } });
  await mesh.perform(calls[0]!);
  const page = await mesh.admin('sleep', '/stats/prometheus');
  const counted = page.split('\n').filter((line) => /^istio_requests_total\{reporter="source"/.test(line));
  assert.ok(counted.length > 0, page.slice(0, 2000));
  for (const line of counted) {
    assert.match(line, /how="GET"/);
    assert.doesNotMatch(line, /response_code=/);
  }
  assert.match(page, /^istio_request_bytes_count\{/m);
  assert.doesNotMatch(page, /^istio_request_duration_milliseconds_count\{reporter="source"/m);
});
