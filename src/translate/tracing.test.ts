/** Who traces, as Telemetry and MeshConfig say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { SIDECAR } from '../../test/support/translated.ts';
import { snapshotFromText } from '../config/memory.ts';
import { buildRegistry } from '../registry/index.ts';
import { startTranslation } from './context.ts';
import type { LoggedConfig } from './logging.ts';
import { tracingSettings } from './tracing-settings.ts';

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: otel, namespace: observability }
spec: { ports: [{ name: grpc, port: 4317 }, { name: http, port: 4318 }] }
`;
const HOST = 'otel.observability.svc.cluster.local';
const PROVIDERS = [
  { name: 'otel', opentelemetry: { service: HOST, port: 4317 } },
  { name: 'http', opentelemetry: { service: HOST, port: 4318, http: { path: '/v1/traces', headers: [{ name: 'x-key', value: 'k' }] } } },
  { name: 'gone', opentelemetry: { service: 'nowhere.example.com', port: 1 } },
  { name: 'secret', opentelemetry: { service: HOST, port: 4318, http: { path: '/', headers: [{ name: 'x-key', envName: 'KEY' }] } } },
  { name: 'zipkin', zipkin: { service: HOST, port: 4317 } },
];

const telemetry = (name: string, tracing: string, more = '', namespace = 'istio-system') => `
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${more}tracing: [${tracing}] }
`;

function traced(text: string, settings: Record<string, unknown> = {}) {
  const config = meshConfigOf({ extensionProviders: PROVIDERS, ...settings });
  const snapshot = snapshotFromText(SERVICE + text);
  assert.deepEqual(
    snapshot.findings.filter(({ level }) => level === 'Error'),
    [],
  );
  const { context, findings } = startTranslation(SIDECAR, { snapshot, config, registry: buildRegistry(snapshot, config).registry });
  const made: LoggedConfig = context.mesh.config;
  return { of: (mode: 'CLIENT' | 'SERVER') => tracingSettings(made, mode), findings: [...findings.values()].map(({ message }) => message) };
}

test('without Telemetry no span is sent, and the share of the mesh is noted', () => {
  const { tracing } = traced('').of('CLIENT');
  assert.equal(tracing?.provider, undefined);
  assert.equal(tracing?.randomSampling?.value, 1);
  assert.equal(traced('', { defaultConfig: { tracing: { sampling: 20 } } }).of('CLIENT').tracing?.randomSampling?.value, 20);
  assert.deepEqual(traced('', { enableTracing: false }).of('CLIENT'), {});
});

test('the narrower Telemetry has the last word, by mode', () => {
  const { of, findings } = traced(
    telemetry('mesh', '{ providers: [{ name: otel }], randomSamplingPercentage: 50, customTags: { a: { literal: { value: b } } } }') +
      telemetry('own', '{ match: { mode: SERVER }, disableSpanReporting: true }', '', 'default') +
      telemetry(
        'narrow',
        '{ match: { mode: CLIENT }, randomSamplingPercentage: 0, enableIstioTags: false, useRequestIdForTraceSampling: false }',
        'selector: { matchLabels: { app: sleep } }, ',
        'default',
      ),
  );
  assert.deepEqual(findings, []);
  assert.deepEqual(of('SERVER'), {});
  const { tracing, requestIdExtension } = of('CLIENT');
  assert.equal(tracing?.randomSampling?.value, 0);
  assert.deepEqual(
    tracing?.customTags.map(({ tag }) => tag),
    ['a'],
  );
  assert.ok(requestIdExtension);
});

test('a default provider of the mesh, and one that a Telemetry names in its place', () => {
  const defaults = { defaultProviders: { tracing: ['otel'] } };
  assert.equal(traced('', defaults).of('CLIENT').tracing?.provider?.name, 'envoy.tracers.opentelemetry');
  assert.ok(
    traced('', defaults)
      .of('SERVER')
      .tracing?.customTags.some(({ tag }) => tag === 'istio.namespace'),
  );
  assert.ok(traced(telemetry('mesh', '{ providers: [{ name: http }] }'), defaults).of('CLIENT').tracing?.provider);
});

test('a provider that can’t be had sends nothing, and says why', () => {
  for (const [name, why] of [
    ['gone', /there is no service nowhere\.example\.com/],
    ['secret', /header x-key is to come from the environment/],
    ['missing', /extensionProviders of the MeshConfig do not have/],
    ['zipkin', /none of type opentelemetry/],
  ] as const) {
    const { of, findings } = traced(telemetry('mesh', `{ providers: [{ name: ${name} }] }`));
    assert.equal(of('CLIENT').tracing?.provider, undefined);
    assert.equal(findings.length, 1);
    assert.match(findings[0]!, why);
  }
  const hidden = `
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default, namespace: default }
spec: { egress: [{ hosts: ["./*"] }] }
`;
  assert.match(traced(telemetry('mesh', '{ providers: [{ name: otel }] }') + hidden).findings[0]!, /does not see service/);
});
