/**
 * Configurations of public reports (`../shared/field`, and our own under `reports/`): what `analyze` finds in each, what `explain` says of its calls and
 * `verify` of all of them. What is not so yet stands beside it as `todo`, with the reason, and fails once it is so.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { checkUnlessListed, listedName } from '../support/listed.ts';
import { explained, findingsIn, read, verified } from './questions.ts';

interface Expectation {
  /** Code and line, in the order of the output. */
  readonly findings: readonly string[];
  /** How calls end, as `explained` writes it. */
  readonly calls?: Readonly<Record<string, string>>;
  readonly verify: 'proved' | 'refuted' | 'undecided';
  /** How calls should end, and do not yet: by call, with the reason. */
  readonly todo?: Readonly<Record<string, readonly [string, string]>>;
}

const FIELD = fileURLToPath(new URL('../../../shared/field/', import.meta.url));
const REPORTS = fileURLToPath(new URL('reports/', import.meta.url));
const EXPECTED: Readonly<Record<string, Expectation>> = parse(readFileSync(new URL('expected.yaml', import.meta.url), 'utf8'));

function check(name: string, text: () => string, expected: Expectation | undefined, skip: string | false): void {
  describe(name, { skip }, () => {
    if (skip) return;
    assert.ok(expected, `${name} stands in expected.yaml`);
    const all = read(text());
    test('analyze', () => {
      assert.deepEqual(
        findingsIn(all).map(({ code, position }) => `${code} ${position?.line ?? 0}`),
        expected.findings,
      );
    });
    for (const [call, ends] of Object.entries(expected.calls ?? {}))
      test(`explain ${call}`, () => assert.equal(explained(all, call), ends));
    for (const [call, [ends, reason]] of Object.entries(expected.todo ?? {}))
      test(listedName(`explain ${call}`, reason), () => checkUnlessListed(reason, () => assert.equal(explained(all, call), ends)));
    test('verify', () => assert.equal(verified(all).result, expected.verify));
  });
}

test('docs/field-reports.md has a line for each report of our own', () => {
  const page = readFileSync(new URL('../../docs/field-reports.md', import.meta.url), 'utf8');
  for (const name of globSync('*.yaml', { cwd: REPORTS })) {
    const source = readFileSync(`${REPORTS}${name}`, 'utf8').match(/^# Source: (\S+)/)?.[1];
    assert.ok(page.includes(`| ${name.slice(0, 3)} · [`) && page.includes(`(${source})`), name);
  }
});

const missing = existsSync(FIELD) ? false : 'the reports in ../shared are not here';
for (const name of missing ? [] : globSync('*.yaml', { cwd: FIELD }).sort())
  check(name, () => readFileSync(`${FIELD}${name}`, 'utf8'), EXPECTED[name], missing);
for (const name of globSync('*.yaml', { cwd: REPORTS }).sort())
  check(name, () => readFileSync(`${REPORTS}${name}`, 'utf8'), EXPECTED[name], false);

test('a tracing provider that Istio has given up is found in the MeshConfig of the files', () => {
  const mesh = (type: string) => `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    extensionProviders: [{ name: spans, ${type}: { service: collector.example.com, port: 443 } }]
`;
  const codes = (type: string) => findingsIn(read(mesh(type))).map(({ code }) => code);
  assert.ok(codes('lightstep').includes('IST0002'));
  assert.ok(!codes('opentelemetry').includes('IST0002'));
});

const ONE_WAY = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    outboundTrafficPolicy: { mode: REGISTRY_ONLY }
---
`;
const UNSERVED: Readonly<Record<string, string>> = {
  'a namespace in ambient mode': 'apiVersion: v1\nkind: Namespace\nmetadata: { name: a, labels: { istio.io/dataplane-mode: ambient } }\n',
  'a waypoint':
    'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: w, namespace: a }\nspec: { gatewayClassName: istio-waypoint, listeners: [{ name: mesh, port: 15008, protocol: HBONE }] }\n',
  'a WasmPlugin': 'apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: { name: w, namespace: a }\nspec: { url: x }\n',
  'a TrafficExtension': 'apiVersion: extensions.istio.io/v1alpha1\nkind: TrafficExtension\nmetadata: { name: t, namespace: a }\nspec: {}\n',
  'an XListenerSet':
    'apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XListenerSet\nmetadata: { name: l, namespace: a }\nspec: {}\n',
};

test('nothing is proved beside what is not served', () => {
  assert.equal(verified(read(ONE_WAY)).result, 'proved');
  for (const [what, text] of Object.entries(UNSERVED)) assert.equal(verified(read(ONE_WAY + text)).result, 'undecided', what);
});
