import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshFromText, proxyOf } from '../../test/support/mesh.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { Translations } from './classes.ts';
import { translate } from './index.ts';

const istio = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;
const ENTRY = istio(
  'ServiceEntry',
  'www',
  '{hosts: [www.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]}',
);

const sameClass = (text: string, a: Partial<ProxyIdentity>, b: Partial<ProxyIdentity>) => {
  const translations = new Translations(meshFromText(text));
  return translations.of(proxyOf(a)) === translations.of(proxyOf(b));
};

test('what nothing asks for makes no class: a name, a service account, a label that no selector names', () => {
  for (const other of [{ name: 'other' }, { serviceAccount: 'other' }, { labels: { team: 'one' } }, { locality: 'a/b/c' }])
    assert.ok(sameClass(ENTRY, {}, other), JSON.stringify(other));
});

test('replicas that serve the same are one class, what serves something else is not', () => {
  const pod = (name: string, ip: string, app: string) =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: default, labels: {app: ${app}}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: ${ip}}\n---\n`;
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\nspec: {selector: {app: web}, ports: [{name: http, port: 80}]}\n---\n';
  const text = service + pod('a', '10.0.0.1', 'web') + pod('b', '10.0.0.2', 'web') + pod('c', '10.0.0.3', 'api');
  const at = (name: string, address: string, app: string) => ({ name, addresses: [address], labels: { app } });
  assert.ok(sameClass(text, at('a', '10.0.0.1', 'web'), at('b', '10.0.0.2', 'web')));
  assert.equal(sameClass(text, at('a', '10.0.0.1', 'web'), at('c', '10.0.0.3', 'api')), false);
});

test('what something asks for makes one', () => {
  const sidecar = istio('Sidecar', 's', "{workloadSelector: {labels: {team: one}}, egress: [{hosts: ['./*']}]}");
  assert.equal(sameClass(ENTRY + sidecar, {}, { labels: { team: 'one' } }), false);
  assert.ok(sameClass(ENTRY + sidecar, { labels: { team: 'one', app: 'a' } }, { labels: { team: 'one', app: 'b' } }));
  assert.equal(sameClass(ENTRY, {}, { namespace: 'other' }), false);
  assert.equal(sameClass(ENTRY, {}, { type: 'router' }), false);
  assert.equal(sameClass(ENTRY, {}, { bindAddress: '127.0.0.9' }), false);
  assert.equal(sameClass(ENTRY, {}, { explicitProxy: { address: '127.0.0.1', port: 15_080 } }), false);
});

test('the key of a class says what it rests on, and is the same in a mesh of the same reads', () => {
  const proxy = proxyOf({ labels: { team: 'one' } });
  const sidecar = (hosts: string) => istio('Sidecar', 's', `{workloadSelector: {labels: {team: one}}, egress: [{hosts: ['${hosts}']}]}`);
  const [one, other] = ['./*', '*/*'].map((hosts) => new Translations(meshFromText(ENTRY + sidecar(hosts))).classOf(proxy));
  assert.equal(one!.key, other!.key);
  assert.deepEqual(
    one!.reads.filter(({ of }) => of === 'label'),
    [{ of: 'label', name: 'team', value: 'one' }],
  );
  assert.ok(one!.reads.some(({ of, name, value }) => of === 'field' && name === 'namespace' && value === 'default'));
});

const oneOf = (...choices: string[]) => fc.constantFrom(...choices);
const name = oneOf('a', 'b', 'c');
const namespace = oneOf('default', 'other', 'istio-system');
const team = oneOf('one', 'two');
const object = fc.oneof(
  fc
    .tuple(name, namespace, oneOf('DNS', 'NONE, exportTo: [.]', 'DNS, exportTo: [other]', 'STATIC, endpoints: [{address: 10.0.0.1}]'))
    .map(([name, namespace, resolution]) =>
      istio(
        'ServiceEntry',
        name,
        `{hosts: [${name}.example.com], resolution: ${resolution}, ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: tcp, protocol: TCP}]}`,
        namespace,
      ),
    ),
  fc
    .tuple(name, namespace, team, oneOf('./*', '*/*', 'other/*'))
    .map(([name, namespace, team, hosts]) =>
      istio('Sidecar', name, `{workloadSelector: {labels: {team: ${team}}}, egress: [{hosts: ['${hosts}']}]}`, namespace),
    ),
  fc
    .tuple(name, namespace, oneOf('sourceLabels: {team: one}', 'sourceNamespace: other', 'port: 80'))
    .map(([name, namespace, match]) =>
      istio(
        'VirtualService',
        name,
        `{hosts: [${name}.example.com], http: [{match: [{${match}}], route: [{destination: {host: ${name}.example.com}}]}]}`,
        namespace,
      ),
    ),
  fc
    .tuple(
      name,
      namespace,
      oneOf(
        'workloadSelector: {matchLabels: {team: two}}',
        'exportTo: [.]',
        'trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}, loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [zone]}}}',
        "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {'r1/*': 100}}]}}}",
      ),
    )
    .map(([name, namespace, more]) => istio('DestinationRule', name, `{host: ${name}.example.com, ${more}}`, namespace)),
  fc
    .tuple(team, oneOf('80', '81'))
    .map(([team, port]) =>
      istio('Gateway', 'g', `{selector: {team: ${team}}, servers: [{port: {number: ${port}, name: p, protocol: HTTP}, hosts: ['*']}]}`),
    ),
  fc
    .tuple(name, oneOf('', 'clusterIP: None, '), team)
    .map(
      ([name, ip, team]) =>
        `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default}\nspec: {${ip}selector: {team: ${team}}, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}\n---\n`,
    ),
  fc
    .tuple(name, team, oneOf('10.0.0.1', '10.0.0.2'))
    .map(
      ([name, team, ip]) =>
        `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: default, labels: {team: ${team}}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: ${ip}}\n---\n`,
    ),
  fc
    .tuple(namespace, team)
    .map(
      ([namespace, team]) =>
        `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${team}, namespace: ${namespace}}\nspec: {selector: {matchLabels: {team: ${team}}}, mtls: {mode: STRICT}}\n---\n`,
    ),
);
const mesh = fc
  .uniqueArray(object, { maxLength: 8, selector: (text) => /kind: .*\nmetadata: \{name: [^,}]*(?:, namespace: [^,}]*)?/.exec(text)![0] })
  .map((texts) => texts.join(''));
const proxy: fc.Arbitrary<ProxyIdentity> = fc
  .record({
    type: fc.constantFrom('sidecar' as const, 'router' as const),
    name,
    namespace,
    labels: fc.dictionary(oneOf('team', 'zone', 'app'), team, { maxKeys: 3 }).map((labels) => ({ ...labels })),
    addresses: fc.constantFrom([], ['10.0.0.1'], ['10.0.0.2'], ['10.0.0.3'], ['10.0.0.3', 'fd00::1']),
    locality: oneOf('', 'r1/z1', 'r2/z1'),
    serviceAccount: name,
  })
  .map((overrides) => proxyOf(overrides));

test('proxies of one class, translated by themselves, come to the same', () => {
  fc.assert(
    fc.property(mesh, fc.array(proxy, { minLength: 2, maxLength: 6 }), (text, proxies) => {
      const translations = new Translations(meshFromText(text));
      for (const one of proxies) assert.deepEqual(translations.of(one), translate(one, meshFromText(text)));
    }),
    { numRuns: 100, seed: 1 },
  );
});
