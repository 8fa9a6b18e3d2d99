import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { portPolicy, subsetPolicy } from './destination-rule-policy.ts';

const { snapshot } = meshFromText(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: r, namespace: default }
spec:
  host: www.example.com
  trafficPolicy:
    tls: { mode: SIMPLE, sni: rule.test }
    connectionPool: { tcp: { connectTimeout: 2s } }
    proxyProtocol: { version: V2 }
    retryBudget: { percent: 30 }
    portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: RANDOM } }]
  subsets:
    - { name: whole, trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }
    - { name: port, trafficPolicy: { tls: { mode: SIMPLE, sni: subset.test }, portLevelSettings: [{ port: { number: 443 }, loadBalancer: { simple: RANDOM } }] } }
`);
const [{ trafficPolicy, subsets } = assert.fail()] = snapshot.list('DestinationRule').map(({ spec }) => spec);
const [whole = assert.fail(), ofPort = assert.fail()] = subsets;

/** What holds for the port, with or without a subset. */
function settings(port: number, subset?: typeof whole) {
  const rule = portPolicy(trafficPolicy, port);
  const { tls, connectionPool, loadBalancer, proxyProtocol, retryBudget } = subset ? subsetPolicy(rule, subset, port) : rule;
  return {
    sni: tls?.sni,
    timeout: connectionPool?.tcp?.connectTimeout !== undefined,
    balancing: loadBalancer?.simple,
    besides: [proxyProtocol !== undefined, retryBudget !== undefined],
  };
}

test('the settings of a port replace all of the rule’s', () => {
  assert.deepEqual(settings(443), { sni: 'rule.test', timeout: true, balancing: undefined, besides: [true, true] });
  assert.deepEqual(settings(80), { sni: undefined, timeout: false, balancing: 'RANDOM', besides: [false, false] });
});

test('a subset keeps what it leaves out of the rule’s, but for the settings of a port', () => {
  assert.deepEqual(settings(443, whole), { sni: 'rule.test', timeout: true, balancing: 'LEAST_REQUEST', besides: [true, true] });
  assert.deepEqual(settings(443, ofPort), { sni: undefined, timeout: false, balancing: 'RANDOM', besides: [true, true] });
  assert.deepEqual(settings(8080, ofPort), { sni: 'subset.test', timeout: true, balancing: undefined, besides: [true, true] });
});
