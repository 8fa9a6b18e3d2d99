import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { compare } from './diff.ts';
import { equivalence } from './equivalence.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from './testing.ts';

const REGISTRY_ONLY = meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
const files = (text: string) => simulateFiles(snapshotFromText(text), REGISTRY_ONLY);

const ENTRY = WWW_ENTRY;
const THROUGH_GATEWAY = `${WWW_ENTRY}${WWW_THROUGH_GATEWAY}`;

test('diff: the gateway left out widens, put in narrows, and a new host widens', () => {
  const kinds = (before: string, after: string) =>
    compare(files(before), files(after)).changes.map(({ kind, destination }) => `${kind} ${destination}`);
  assert.deepEqual(kinds(THROUGH_GATEWAY, THROUGH_GATEWAY), []);
  assert.ok(kinds(THROUGH_GATEWAY, ENTRY).includes('widens www.example.com:80'));
  assert.ok(kinds(ENTRY, THROUGH_GATEWAY).includes('narrows www.example.com:80'));
  const { changes, undecided } = compare(files(ENTRY), files(`${ENTRY}${ENTRY.replaceAll('www', 'api')}`));
  assert.deepEqual(undecided, []);
  const [change] = changes;
  assert.deepEqual([change?.kind, change?.destination, change?.decidedBy[0]?.name], ['widens', 'api.example.com:80', 'api']);
  assert.deepEqual([change?.before, change?.after], ['is answered 502', 'reaches api.example.com directly']);
});

test('diff: workloads of one side only are named', () => {
  const { added, removed } = compare(files(ENTRY), files(podText('a', '10.0.0.1') + ENTRY));
  assert.deepEqual([added, removed], [['default/a'], ['default/local']]);
});

test('diff: workloads that the files do not name count too', () => {
  const hidden = ENTRY.replace('namespace: default', 'namespace: team').replace('}]}', "}], exportTo: ['.']}");
  const { changes } = compare(files(ENTRY.replace('www', 'other')), files(ENTRY.replace('www', 'other') + hidden.replaceAll('www', 'api')));
  assert.deepEqual(
    changes.map(({ kind, workloads, destination }) => `${kind} ${workloads.join()} ${destination}`),
    ['widens team/* api.example.com:80'],
  );
});

test('diff: of clients that come to a gateway directly only where that is asked for', () => {
  const other = THROUGH_GATEWAY.replace('uri: {prefix: /v1}}]', 'uri: {prefix: /v1}, headers: {x: {exact: a}}}]');
  const direct = (atGateways: boolean) =>
    compare(files(THROUGH_GATEWAY), files(other), { atGateways }).changes.filter(({ workloads }) => workloads[0]?.startsWith('a client'));
  assert.deepEqual(direct(false), []);
  assert.notDeepEqual(direct(true), []);
});

test('equivalence: proved of the same, refuted by a call, undecided where a workload is on one side only', () => {
  const verdict = (a: string, b: string) => equivalence(files(a), files(b), 'the other');
  assert.equal(verdict(THROUGH_GATEWAY, THROUGH_GATEWAY).result, 'proved');
  const refuted = verdict(ENTRY, THROUGH_GATEWAY);
  assert.equal(refuted.result, 'refuted');
  assert.ok(refuted.counterexamples.length > 0);
  const pods = podText('a', '10.0.0.1');
  const { result, undecided } = verdict(pods + ENTRY, `${pods}${podText('b', '10.0.0.2')}${ENTRY}`);
  assert.deepEqual([result, undecided], ['undecided', ['default/b is on one side only']]);
});

test('equivalence: what is not known of either side keeps it from being proved', () => {
  const patched = `${ENTRY}
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: default}
spec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}}]}
---`;
  assert.equal(equivalence(files(patched), files(ENTRY), 'x').result, 'undecided');
  assert.equal(equivalence(files(ENTRY), files(patched), 'x').result, 'undecided');
});

test('diff: an address that is allocated anew is no change, one that the user takes away is', () => {
  const at = (more: string, namespace = 'default') =>
    files(`${podText('app', '10.0.0.1')}${ENTRY.replace(']}', `]${more}}`).replace('namespace: default', `namespace: ${namespace}`)}`);
  assert.deepEqual(compare(at(''), at('', 'elsewhere')).changes, []);
  const taken = compare(at(', addresses: [198.51.100.7, 198.51.100.8]'), at(', addresses: [198.51.100.7]')).changes;
  assert.ok(
    taken.some(({ example }) => example.payload.http?.authority === '198.51.100.8'),
    JSON.stringify(taken),
  );
});

const rule = (tls: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: www, namespace: default}
spec: {host: www.example.com, trafficPolicy: {tls: ${tls}}}
---`;

test('diff: less protection on the way fails like a widening, more is a strengthening, another one a difference', () => {
  const change = (before: string, after: string) => {
    const { changes } = compare(files(ENTRY + rule(before)), files(ENTRY + rule(after)));
    const found = changes.find(({ destination }) => destination === 'www.example.com:80');
    return found && `${found.kind}: ${found.before} -> ${found.after}`;
  };
  const simple = 'reaches www.example.com directly';
  const verified = `${simple} (TLS with SNI www.example.com, verified to be www.example.com by the system's CAs)`;
  const plain = 'reaches www.example.com directly (in plain)';
  assert.equal(change('{mode: SIMPLE}', '{mode: SIMPLE}'), undefined);
  assert.equal(change('{mode: SIMPLE}', '{mode: DISABLE}'), `weakens: ${verified} -> ${plain}`);
  assert.equal(change('{mode: DISABLE}', '{mode: SIMPLE}'), `strengthens: ${plain} -> ${verified}`);
  const unverified = `${simple} (TLS with SNI www.example.com, verifies nothing)`;
  assert.equal(change('{mode: SIMPLE}', '{mode: SIMPLE, insecureSkipVerify: true}'), `weakens: ${verified} -> ${unverified}`);
  assert.match(change('{mode: SIMPLE}', '{mode: SIMPLE, caCertificates: /etc/ca.pem}') ?? '', /^differs: .* by CA \/etc\/ca\.pem\)$/);
  assert.match(
    change('{mode: SIMPLE, sni: a.example}', '{mode: SIMPLE, sni: b.example}') ?? '',
    /^differs: .*SNI a\.example.*SNI b\.example/,
  );
  assert.match(
    change('{mode: SIMPLE, subjectAltNames: [a.example]}', '{mode: SIMPLE, subjectAltNames: [a.example, b.example]}') ?? '',
    /^weakens: .*to be a\.example by.*to be a\.example or b\.example by/,
  );
  const mutual = (name: string) => `{mode: MUTUAL, clientCertificate: /etc/${name}.pem, privateKey: /etc/${name}.key}`;
  assert.match(change(mutual('a'), mutual('b')) ?? '', /^differs: .*as file-cert:\/etc\/a\.pem.*as file-cert:\/etc\/b\.pem/);
  assert.match(change(mutual('a'), '{mode: SIMPLE}') ?? '', /^weakens: .*as file-cert:\/etc\/a\.pem/);
});

test('diff: what policies ask beyond the calls that are tried is undecided where they change', () => {
  const policy = (kind: string, spec: string) => `
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: {name: p, namespace: istio-system}
spec: ${spec}
---`;
  const undecided = (before: string, after: string) => compare(files(ENTRY + before), files(ENTRY + after)).undecided.join('; ');
  const deny = (to: string) => policy('AuthorizationPolicy', `{action: DENY, rules: [{to: [{operation: ${to}}]}]}`);
  for (const to of ['{paths: [/admin]}', '{methods: [DELETE]}', '{notMethods: [GET]}', '{hosts: [a.example]}']) {
    assert.match(undecided(deny(to), ''), /^AuthorizationPolicy istio-system\/p is gone, and asks of paths/, to);
    assert.equal(undecided(deny(to), deny(to)), '', to);
  }
  assert.match(undecided(deny('{paths: [/admin*]}'), deny('{paths: [/admin]}')), /p is not what it was/);
  assert.equal(undecided(deny("{ports: ['80']}"), ''), '', 'calls to every port are tried');
  const strict = policy('PeerAuthentication', '{mtls: {mode: STRICT}}');
  assert.match(undecided(strict, policy('PeerAuthentication', '{mtls: {mode: PERMISSIVE}}')), /clients without a sidecar/);
  const network = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: n, namespace: default}
spec: {podSelector: {}, policyTypes: [Egress], egress: []}
---`;
  assert.match(undecided(network, ''), /verify --adversary bypassing/);
});

test('diff: a Pod that becomes like another is compared with what it was', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s, namespace: default}
spec: {workloadSelector: {labels: {app: spy}}, outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ['./none.example']}]}
---`;
  const orders = podText('orders', '10.0.0.1', { labels: '{app: orders}' });
  const spy = (app: string) => podText('spy', '10.0.0.2', { labels: `{app: ${app}}` });
  const { changes } = compare(files(ENTRY + sidecar + orders + spy('spy')), files(ENTRY + sidecar + orders + spy('orders')));
  assert.ok(changes.some(({ kind, workloads }) => kind === 'widens' && workloads.join() === 'default/spy'));
});

test('diff: where a call goes and what is sent there is compared, too', () => {
  const fixed = (address: string) => ENTRY.replace('resolution: DNS', `resolution: STATIC, endpoints: [{address: ${address}}]`);
  const { changes } = compare(files(fixed('192.0.2.1')), files(fixed('192.0.2.2')));
  assert.match(
    changes.map(({ kind, before, after }) => `${kind} ${before} -> ${after}`).join(),
    /^differs .*at 192\.0\.2\.1:80.* -> .*at 192\.0\.2\.2:80/,
  );
});

test('diff: what is not simulated is undecided where it is new, gone or changed, and not where both sides have it', () => {
  const patch = (priority: number) => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch, namespace: default}
spec: {priority: ${priority}, configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: envoy.filters.http.lua}}}]}
---`;
  const pod = (annotations: string) =>
    podText('a', '10.0.0.1').replace('namespace: default', `namespace: default, annotations: {${annotations}}`);
  const undecided = (before: string, after: string) => compare(files(before), files(after)).undecided.join('; ');
  assert.equal(undecided(ENTRY + patch(1), ENTRY + patch(1)), '');
  assert.match(undecided(ENTRY, ENTRY + patch(1)), /^EnvoyFilter default\/patch changes proxies/);
  assert.match(undecided(ENTRY + patch(1), ENTRY), /^EnvoyFilter default\/patch changes proxies/);
  assert.match(undecided(ENTRY + patch(1), ENTRY + patch(2)), /^EnvoyFilter default\/patch is not what it was/);
  const excluded = "traffic.sidecar.istio.io/excludeOutboundPorts: '443'";
  assert.match(undecided(pod('') + ENTRY, pod(excluded) + ENTRY), /^Pod default\/a sends some of its traffic past its sidecar/);
});

test('diff: a gateway that demands no client certificate any more protects less', () => {
  const way = (mode: string) =>
    `${WWW_ENTRY}${WWW_THROUGH_GATEWAY}`
      .replace(
        '{number: 80, name: http, protocol: HTTP}, hosts: [www',
        `{number: 443, name: https, protocol: HTTPS}, tls: {mode: ${mode}, credentialName: c}, hosts: [www`,
      )
      .replace('istio-system.svc.cluster.local, port: {number: 80}', 'istio-system.svc.cluster.local, port: {number: 443}')
      .replace('gateways: [egress], port: 80', 'gateways: [egress], port: 443') +
    rule('{mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, sni: www.example.com}').replace(
      'host: www.example.com,',
      'host: istio-egressgateway.istio-system.svc.cluster.local,',
    );
  const kinds = (a: string, b: string) => new Set(compare(files(way(a)), files(way(b))).changes.map(({ kind }) => kind));
  assert.deepEqual(kinds('MUTUAL', 'SIMPLE'), new Set(['weakens']));
  assert.deepEqual(kinds('SIMPLE', 'MUTUAL'), new Set(['strengthens']));
});
