import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshConfigOf, proxyOf } from '../../test/support/mesh.ts';
import { decodeDocuments } from '../api/documents.ts';
import { Store } from '../config/store.ts';
import { type BuiltRegistry, buildRegistry } from '../registry/index.ts';
import { Translations } from './classes.ts';
import { translate } from './index.ts';
import type { Mesh } from './model.ts';
import { recording } from './reading.ts';

const CONFIG = meshConfigOf({});
const istio = (kind: string, name: string, spec: string) =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\nspec: ${spec}\n`;
const entry = (name: string, ports = '{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}') =>
  istio('ServiceEntry', name, `{hosts: [${name}.example.com], resolution: DNS, ports: [${ports}]}`);

/** A store whose registries follow from one another, as those of a running mesh. */
class Growing {
  readonly #store = new Store();
  #built: BuiltRegistry | undefined;

  set(file: string, text: string): void {
    if (text) this.#store.set(file, decodeDocuments(text, file));
    else this.#store.delete(file);
  }

  mesh(): Mesh {
    const snapshot = this.#store.snapshot(FILES);
    this.#built = buildRegistry(snapshot, CONFIG, this.#built);
    return { snapshot, registry: this.#built.registry, config: CONFIG };
  }
}

const FILES = ['a', 'b', 'c', 'd'];

test('a phase that is kept notes what it read: proxies that only it tells apart are told apart', () => {
  const growing = new Growing();
  growing.set('a', entry('a'));
  const selecting =
    '{host: a.example.com, workloadSelector: {matchLabels: {team: one}}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}';
  growing.set('b', istio('DestinationRule', 'a', selecting));
  const first = growing.mesh();
  const [one, two] = ['one', 'two'].map((team) => proxyOf({ labels: { team } }));
  const before = [one!, two!].map((proxy) => new Translations(first).classOf(proxy));
  growing.set(
    'c',
    istio('VirtualService', 'a', '{hosts: [a.example.com], http: [{timeout: 3s, route: [{destination: {host: a.example.com}}]}]}'),
  );
  const changed = growing.mesh();
  const translations = new Translations(changed);
  const after = [one!, two!].map((proxy) => translations.classOf(proxy));
  assert.notEqual(after[0]!.translation, after[1]!.translation);
  assert.deepEqual(
    after.map(({ key }) => key),
    before.map(({ key }) => key),
  );
  // The clusters were not built again.
  assert.equal(after[0]!.translation.resources.clusters, before[0]!.translation.resources.clusters);
  assert.notDeepEqual(after[0]!.translation.resources.clusters, after[1]!.translation.resources.clusters);
});

test('a recording inside of another keeps what it notes to itself', () => {
  const growing = new Growing();
  const outer = recording(proxyOf({ labels: { app: 'web' } }), growing.mesh());
  const inner = recording(outer.proxy, outer.mesh);
  assert.equal(inner.proxy.labels.app, 'web');
  assert.equal(inner.reads().length, 1);
  assert.deepEqual(outer.reads(), []);
});

const host = fc.constantFrom('a.example.com', 'b.example.com', "'*.example.com'");
const text = fc.oneof(
  fc.constant(''),
  fc.constantFrom('a', 'b').map((name) => entry(name)),
  fc
    .constantFrom('a', 'b')
    .map((name) => entry(name, '{number: 80, name: http, protocol: HTTP}, {number: 3306, name: tcp, protocol: TCP}')),
  fc
    .tuple(
      fc.constantFrom('x', 'y'),
      host,
      fc.constantFrom('a.example.com', 'b.example.com'),
      fc.constantFrom(
        'http: [{timeout: 3s, ROUTE}]',
        'http: [{timeout: 4s, ROUTE}]',
        'http: [{match: [{sourceLabels: {team: one}}], ROUTE}]',
        'http: [{match: [{gateways: [default/g]}], timeout: 5s, ROUTE}, {match: [{gateways: [mesh]}], ROUTE}]',
        'tcp: [{match: [{sourceLabels: {team: one}}], ROUTE}]',
        'http: [{timeout: 3s, ROUTE}], tls: [{match: [{sniHosts: [a.example.com], port: 443}], ROUTE}]',
      ),
      fc.constantFrom('mesh', 'default/g', 'mesh, g'),
    )
    .map(([name, host, to, rules, gateways]) =>
      istio(
        'VirtualService',
        name,
        `{hosts: [${host}], gateways: [${gateways}], ${rules.replaceAll('ROUTE', `route: [{destination: {host: ${to}}}]`)}}`,
      ),
    ),
  fc
    .tuple(host, fc.constantFrom('', 'workloadSelector: {matchLabels: {team: one}}, '), fc.constantFrom('1', '2'))
    .map(([host, selector, most]) =>
      istio('DestinationRule', 'r', `{host: ${host}, ${selector}trafficPolicy: {connectionPool: {tcp: {maxConnections: ${most}}}}}`),
    ),
  fc
    .constantFrom('a.example.com', '*')
    .map((host) => istio('Sidecar', 's', `{workloadSelector: {labels: {team: two}}, egress: [{hosts: ['*/${host}']}]}`)),
  fc
    .constantFrom(
      '{number: 80, name: http, protocol: HTTP}, hosts: ["*"]',
      '{number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: ["*"]',
    )
    .map((server) => istio('Gateway', 'g', `{selector: {team: one}, servers: [{port: ${server}}]}`)),
);
const PROXIES = (['sidecar', 'router'] as const).flatMap((type) =>
  ['one', 'two'].map((team) => proxyOf({ type, labels: { team }, addresses: team === 'one' ? ['10.0.0.1'] : ['fd00::1'] })),
);

test('after any changes, a translation and its class are those of a fresh start', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...FILES), text), { minLength: 2, maxLength: 10 }), (steps) => {
      const growing = new Growing();
      const now = new Map<string, string>();
      for (const [file, content] of steps) {
        growing.set(file, content);
        now.set(file, content);
        const mesh = growing.mesh();
        const fresh = new Growing();
        for (const [name, text] of now) fresh.set(name, text);
        const anew = fresh.mesh();
        const [grown, started] = [new Translations(mesh), new Translations(anew)];
        for (const proxy of PROXIES) {
          const [one, other] = [grown.classOf(proxy), started.classOf(proxy)];
          assert.deepEqual(one.translation, other.translation);
          assert.equal(one.key, other.key);
          assert.deepEqual(one.translation, translate(proxy, anew));
        }
      }
    }),
    { numRuns: 60, seed: 1 },
  );
});
