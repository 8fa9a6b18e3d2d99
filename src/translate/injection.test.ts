import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CREDENTIALS, INTERCEPT } from '../api/inject-credentials.ts';
import type { Service } from '../registry/model.ts';
import { credentialsFor, injectsAny, isIntercepted } from './injection.ts';

function service(annotations: Record<string, string>, hostname = 'api.example', registry = 'External'): Service {
  return { registry, hostname, resource: { metadata: { annotations } } } as unknown as Service;
}

test('a virtual host has the rules of its port, and what is not understood as it is written', () => {
  const rules = [
    { name: 'a', ports: [80], header: 'x' },
    { name: 'b', ports: [8080], header: 'x' },
    { name: 'c', header: 'y' },
  ];
  const one = service({ [CREDENTIALS]: JSON.stringify(rules) });
  assert.deepEqual(credentialsFor(one, 80), [rules[0], rules[2]]);
  assert.equal(credentialsFor(one, 80), credentialsFor(one, 80), 'the same object, so that nothing is built anew');
  assert.equal(credentialsFor(service({ [CREDENTIALS]: JSON.stringify([rules[0]]) }), 443), undefined);
  for (const text of ['no JSON', '{}', '']) assert.equal(credentialsFor(service({ [CREDENTIALS]: text }), 80), text);
  assert.equal(credentialsFor(service({ [CREDENTIALS]: JSON.stringify(rules) }, 'api.default.svc', 'Kubernetes'), 80), undefined);
});

test('the filter is there where some service has credentials', () => {
  assert.equal(injectsAny([service({}), service({ [CREDENTIALS]: '' })]), true);
  assert.equal(injectsAny([service({}), service({ [CREDENTIALS]: '[]' }, 'a', 'Kubernetes')]), false);
});

test('TLS is seen through at the ports that are named, and never for wildcards or Services', () => {
  const ports = { [INTERCEPT]: '443, 8443' };
  assert.deepEqual(
    [443, 8443, 44, 80].map((port) => isIntercepted(service(ports), port)),
    [true, true, false, false],
  );
  for (const host of ['*', '*.example']) assert.ok(!isIntercepted(service(ports, host), 443));
  assert.ok(!isIntercepted(service(ports, 'api.default.svc', 'Kubernetes'), 443));
  assert.ok(!isIntercepted(service({}), 443));
});
