import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../config/memory.ts';
import { isInsideCluster, openEgress } from './network-policy.ts';

const CLUSTER = ['10.0.0.0/8'];
const POD = { namespace: 'default', labels: { app: 'web', tier: 'front' } };

const policies = (...specs: string[]) =>
  snapshotFromText(
    specs
      .map((spec, i) => `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p${i}, namespace: default}\nspec: ${spec}`)
      .join('\n---\n'),
  ).list('NetworkPolicy');

const open = (...specs: string[]) => {
  const found = openEgress(policies(...specs), POD, CLUSTER);
  return found && { ip: found.ip, port: found.port, policy: found.policy?.metadata.name };
};

test('without a policy for egress that selects the pod everything is open', () => {
  const everything = { ip: '203.0.113.1', port: 0, policy: undefined };
  assert.deepEqual(open(), everything);
  assert.deepEqual(open('{podSelector: {matchLabels: {app: other}}, policyTypes: [Egress]}'), everything);
  assert.deepEqual(open('{podSelector: {}, policyTypes: [Ingress]}'), everything);
  assert.deepEqual(
    openEgress(policies('{podSelector: {}, policyTypes: [Egress]}'), { ...POD, namespace: 'other' }, CLUSTER)?.policy,
    undefined,
  );
});

test('a policy without rules closes; egress rules imply the type', () => {
  assert.equal(open('{podSelector: {}, policyTypes: [Egress]}'), undefined);
  assert.equal(open('{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}'), undefined);
});

test('policies add up: one that opens is enough', () => {
  assert.equal(open('{podSelector: {}, policyTypes: [Egress]}', '{podSelector: {}, policyTypes: [Egress], egress: [{}]}')?.policy, 'p1');
});

test('ipBlocks count where they reach out of the cluster, exceptions taken off', () => {
  const block = (text: string) => open(`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: ${text}}]}]}`);
  assert.equal(block('{cidr: 10.1.0.0/16}'), undefined);
  assert.deepEqual(block('{cidr: 198.51.100.0/24}'), { ip: '198.51.100.0', port: 0, policy: 'p0' });
  assert.deepEqual(block('{cidr: 198.51.100.0/24, except: [198.51.100.0/25]}')?.ip, '198.51.100.128');
  assert.equal(block('{cidr: 198.51.100.0/24, except: [198.51.100.0/25, 198.51.100.128/25]}'), undefined);
  assert.deepEqual(block('{cidr: 10.0.0.0/7}')?.ip, '11.0.0.0');
});

test('a port of the rule is named', () => {
  assert.equal(open('{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}')?.port, 443);
});

test('a server of the cluster is none outside of it, at its port alone', () => {
  const serves = (ip: string, port: number) => ip === '203.0.113.9' && port === 6443;
  const found = (rule: string) => openEgress(policies(`{podSelector: {}, policyTypes: [Egress], egress: [${rule}]}`), POD, CLUSTER, serves);
  const to = 'to: [{ipBlock: {cidr: 203.0.113.9/32}}]';
  assert.equal(found(`{${to}, ports: [{port: 6443}]}`), undefined);
  assert.equal(found(`{${to}, ports: [{port: 6443}, {port: 443}]}`)?.ip, '203.0.113.9');
  assert.equal(found(`{${to}, ports: [{port: 6443, endPort: 6444}]}`)?.ip, '203.0.113.9');
  assert.equal(found(`{${to}}`)?.ip, '203.0.113.9');
  assert.equal(found('{to: [{ipBlock: {cidr: 203.0.113.8/31}}], ports: [{port: 6443}]}')?.ip, '203.0.113.8');
});

test('an address of the cluster', () => {
  assert.equal(isInsideCluster('10.9.9.9', CLUSTER), true);
  assert.equal(isInsideCluster('11.0.0.0', CLUSTER), false);
});

test('a range that cannot be read is open: a cluster takes more ways of writing one', () => {
  for (const cidr of ['008.8.8.0/24', '8.8.8.0/024', 'no range']) {
    const rule = `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: '${cidr}'}}]}]}`;
    assert.equal(openEgress(policies(rule), POD, CLUSTER)?.ip, cidr);
  }
});
