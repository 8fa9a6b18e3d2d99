import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDuties, serviceName } from './duties.ts';

test('what is done in a cluster needs one, and what is made with the CA needs that', () => {
  assert.equal(checkDuties({}), false);
  assert.equal(checkDuties({ kube: true }), false);
  assert.equal(checkDuties({ kube: true, gateways: true }), true);
  assert.equal(checkDuties({ kube: true, ca: 'ca', tokens: true, rootMaps: true }), true);
  const asked = { caSecret: 'a', webhookConfig: 'a', validationConfig: 'a', rootMaps: true, tokens: true };
  const options = ['--ca-secret', '--webhook-config', '--validation-config', '--root-maps', '--cluster-tokens'];
  for (const [i, [name, value]] of Object.entries(asked).entries()) {
    const message = (text: string) => ({ code: 'usage', message: `${options[i]} ${text}` });
    assert.throws(() => checkDuties({ ca: 'ca', [name]: value }), message('is done in a cluster: it needs --kube'));
    assert.throws(() => checkDuties({ kube: true, [name]: value }), message('needs the CA: name its folder with --ca'));
  }
  assert.throws(() => checkDuties({ gateways: true }), { code: 'usage', message: /^--gateways is done in a cluster/ });
});

test('a revision has a Service of its own', () => {
  assert.equal(serviceName('', 'istio-system'), 'istiod.istio-system.svc');
  assert.equal(serviceName('default', 'istio-system'), 'istiod.istio-system.svc');
  assert.equal(serviceName('canary', 'mesh'), 'istiod-canary.mesh.svc');
});
