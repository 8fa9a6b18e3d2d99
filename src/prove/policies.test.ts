/** Who may call what, as policies at a gateway decide it, is proved or refuted; what depends on more than a proof knows is neither. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { parseTarget } from '../simulate/call.ts';
import { compare } from './diff.ts';
import { explain } from './explain.ts';
import { gatewaysOf } from './inside.ts';
import { simulateFiles } from './simulated.ts';
import { statementOf } from './statements.ts';
import { verifyFiles } from './verify.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/egress-identities');
const read = (file: string) => readFileSync(join(EXAMPLE, file), 'utf8');
const RESOURCES = read('egress.yaml').split('\n---\n');
const POLICY = RESOURCES.find((text) => text.includes('kind: AuthorizationPolicy'))!;
const REST = RESOURCES.filter((text) => text !== POLICY).join('\n---\n');
const WORKLOADS = read('workloads.yaml');

const policy = (spec: string, name = 'p') =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: istio-system}\nspec: {selector: {matchLabels: {istio: egressgateway}}, ${spec}}`;
const ORDERS = 'from: [{source: {principals: [cluster.local/ns/shop/sa/orders]}}]';
const ANYBODY = 'from: [{source: {principals: ["*"]}}]';
const PAYMENTS = 'to: [{operation: {hosts: [payments.example.com]}}]';

/** What becomes of `only shop/orders reach payments.example.com` under these policies. */
function judged(policies: readonly string[], workloads = WORKLOADS, rest = REST) {
  const text = [rest, workloads, ...policies].filter((each) => each !== '').join('\n---\n');
  const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const statement = statementOf({ onlyWorkloads: { host: 'payments.example.com', workloads: ['shop/orders'] } }, 'test', gatewaysOf(files));
  const [verdict] = verifyFiles(files, [statement], 100_000);
  return verdict!.result;
}

test('the example’s policy is what proves it', () => {
  assert.equal(judged([POLICY]), 'proved');
  assert.equal(judged([]), 'refuted');
});

test('rules that let others through refute it', () => {
  assert.equal(judged([policy(`rules: [{${ANYBODY}, ${PAYMENTS}}]`)]), 'refuted');
  assert.equal(judged([POLICY, policy(`rules: [{${ANYBODY}, to: [{operation: {hosts: ['*']}}]}]`)]), 'refuted');
  assert.equal(judged([policy('rules: [{from: [{source: {namespaces: [shop, default]}}]}]')]), 'refuted');
  assert.equal(judged([policy('rules: [{from: [{source: {notPrincipals: [cluster.local/ns/a/sa/b]}}]}]')]), 'refuted');
});

test('what rules ask of paths, methods, headers or addresses other calls may have', () => {
  for (const more of [
    'to: [{operation: {hosts: [payments.example.com], paths: [/secret]}}]',
    'to: [{operation: {methods: [PATCH]}}]',
    `${PAYMENTS}, when: [{key: 'request.headers[x-key]', values: [a]}]`,
    `${PAYMENTS}, when: [{key: source.ip, values: [10.9.9.9]}]`,
    "when: [{key: 'request.auth.claims[group]', values: [a]}]",
  ]) {
    assert.equal(judged([policy(`rules: [{${ANYBODY}, ${more}}]`)]), 'undecided', more);
  }
});

test('a denial proves it, unless something gets around it', () => {
  const deny = (rule: string) => policy(`action: DENY, rules: [{${rule}}]`);
  assert.equal(judged([deny(`from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/orders]}}], ${PAYMENTS}`)]), 'proved');
  assert.equal(
    judged([deny(`from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/orders]}}], to: [{operation: {methods: [GET]}}]`)]),
    'undecided',
  );
  const tried = deny(`from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/orders]}}]`).replace(
    'metadata: {',
    "metadata: {annotations: {istio.io/dry-run: 'true'}, ",
  );
  assert.equal(judged([tried]), 'refuted');
});

test('another workload of the same service account is the same to a policy', () => {
  const twin = WORKLOADS.split('\n---\n')[0]!.replace('name: orders', 'name: twin').replace('10.244.1.10', '10.244.1.11');
  assert.equal(judged([POLICY], `${WORKLOADS}\n---\n${twin}`), 'refuted');
});

test('where the files have no workloads, whoever a policy names may be one', () => {
  assert.equal(judged([policy(`rules: [{${ORDERS}}]`)], ''), 'refuted');
  assert.equal(judged([policy(`action: DENY, rules: [{${ANYBODY}}]`)], ''), 'proved');
});

test('a gateway that takes plain HTTP knows nobody', () => {
  const plain = REST.replace('{ number: 443, name: https, protocol: HTTPS }', '{ number: 443, name: http, protocol: HTTP }')
    .replace('      tls: { mode: ISTIO_MUTUAL }\n', '')
    .replace('tls: { mode: ISTIO_MUTUAL, sni: payments.example.com }', 'tls: { mode: DISABLE }');
  assert.equal(judged([policy(`rules: [{${ANYBODY}}]`)], WORKLOADS, plain), 'proved');
  assert.equal(judged([policy('rules: [{from: [{source: {notPrincipals: [cluster.local/ns/a/sa/b]}}]}]')], WORKLOADS, plain), 'refuted');
});

test('a policy that is not valid closes what it selects, as nobody knows what it is to refuse', () => {
  const outcome = (spec: string) => {
    const text = [REST, WORKLOADS, POLICY, policy(spec)].join('\n---\n');
    const files = simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
    const { trace } = explain(files, parseTarget('http://payments.example.com/'), { from: 'shop/orders' });
    return trace.outcome.kind === 'reply' ? trace.outcome.status : trace.outcome.kind;
  };
  assert.equal(outcome(`action: DENY, rules: [{to: [{operation: {methods: [PATCH]}}]}]`), 'upstream');
  for (const spec of [
    `action: DENY, rules: [{from: [{source: {ipBlocks: [not-an-ip]}}]}, {to: [{operation: {paths: [/x]}}]}]`,
    'action: REFUSE, rules: [{}]',
    'action: DENY, rules: [{when: [{key: nonsense, values: [a]}]}]',
    'action: DENY, rulez: [{}]',
  ])
    assert.notEqual(outcome(spec), 'upstream', spec);
  assert.equal(outcome('rules: [{}]').toString(), 'upstream');
});

test('a policy refuses before it is found that there is no route', () => {
  const files = simulateFiles(
    snapshotFromText([REST, WORKLOADS, POLICY].join('\n---\n')),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
  const target = parseTarget('http://news.example.com/', { headers: ['host: news.example.com.'] });
  const { trace } = explain(files, target, { from: 'default/reader' });
  assert.equal(trace.hops.length, 2);
  assert.ok(trace.outcome.kind === 'reply' && trace.outcome.status === 403, JSON.stringify(trace.outcome));
});

test('what an external authorizer is asked about is neither proved nor refuted, and the answer names the policy', () => {
  const custom = (rules: string) =>
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ask, namespace: istio-system}\nspec: {selector: {matchLabels: {istio: egressgateway}}, action: CUSTOM, provider: {name: it}, rules: ${rules}}`;
  const authz = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: authz, namespace: istio-system}
spec: {hosts: [authz.example.com], resolution: STATIC, ports: [{number: 8000, name: http, protocol: HTTP}], endpoints: [{address: 192.0.2.9}]}`;
  const providers = [{ name: 'it', envoyExtAuthzHttp: { service: 'authz.example.com', port: 8000 } }];
  const filesOf = (rules?: string) =>
    simulateFiles(
      snapshotFromText([REST, WORKLOADS, POLICY, authz, ...(rules === undefined ? [] : [custom(rules)])].join('\n---\n')),
      meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, extensionProviders: providers }),
    );
  const reached = (rules: string) =>
    explain(filesOf(rules), parseTarget('http://payments.example.com/'), { from: 'shop/orders' }).trace.outcome;
  const asked = reached('[{}]');
  assert.match(
    asked.kind === 'undecided' ? asked.details : asked.kind,
    /rule 0 of AuthorizationPolicy istio-system\/ask has the authorizer of provider it asked/,
  );
  assert.equal(reached('[{to: [{operation: {paths: [/other]}}]}]').kind, 'upstream');
  const files = filesOf('[{to: [{operation: {paths: [/other]}}]}]');
  const statement = statementOf({ onlyWorkloads: { host: 'payments.example.com', workloads: ['shop/orders'] } }, 'test', gatewaysOf(files));
  assert.notEqual(verifyFiles(files, [statement], 100_000)[0]!.result, 'refuted');
  const everything = filesOf('[{}]');
  const [proof] = verifyFiles(everything, [statement], 100_000);
  assert.equal(proof!.result, 'undecided');
  const unasked = filesOf();
  const both = [compare(unasked, everything), compare(everything, unasked)];
  for (const { undecided, changes } of both) {
    assert.match(undecided.join('\n'), /what it answers is not known here/);
    assert.notEqual(changes.length, 0);
    for (const change of changes) assert.match(`${change.before} ${change.after}`, /is undecided \(rule 0 of AuthorizationPolicy/);
  }
});
