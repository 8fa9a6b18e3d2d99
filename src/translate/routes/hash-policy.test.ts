import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJson } from '@bufbuild/protobuf';
import { meshFromText } from '../../../test/support/mesh.ts';
import { RouteAction_HashPolicySchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { consistentHash, hashPolicy } from './hash-policy.ts';

const byHeader = (name: string) => `loadBalancer: { consistentHash: { httpHeaderName: ${name} } }`;
const atPort = (port: number, policy: string) => `portLevelSettings: [{ port: { number: ${port} }, ${policy} }]`;

/** The destinations of a mesh whose DestinationRule for a.example.com says this. */
function destinations(spec: string) {
  const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: r, namespace: default }
spec: { host: a.example.com, ${spec} }`;
  const [found] = meshFromText(rule).snapshot.list('DestinationRule');
  return { destinationRuleFor: (host: string) => (host === 'a.example.com' ? found : undefined) } as Parameters<typeof consistentHash>[0];
}

test('of several hashes the first counts: the subset’s for the port, the subset’s, the host’s for the port, the host’s', () => {
  const ofHost = `trafficPolicy: { ${byHeader('host')}, ${atPort(81, byHeader('host-81'))} }`;
  const ofSubset = `{ name: v1, trafficPolicy: { ${byHeader('subset')}, ${atPort(82, byHeader('subset-82'))} } }`;
  const all = destinations(`${ofHost}, subsets: [${ofSubset}, { name: v2 }]`);
  const header = (subset?: string, port?: number, host = 'a.example.com') => consistentHash(all, host, subset, port)?.httpHeaderName;
  assert.equal(header(), 'host');
  assert.equal(header(undefined, 80), 'host');
  assert.equal(header(undefined, 81), 'host-81');
  assert.equal(header('v1'), 'subset');
  assert.equal(header('v1', 81), 'subset');
  assert.equal(header('v1', 82), 'subset-82');
  assert.equal(header('v2', 81), 'host-81');
  assert.equal(header('missing', 82), 'host');
  assert.equal(header(undefined, undefined, 'b.example.com'), undefined);
});

test('what a request has is hashed: a header, a cookie, the client’s address, a parameter of the query', () => {
  const policy = (hash: string) => {
    const made = hashPolicy(
      consistentHash(
        destinations(`trafficPolicy: { loadBalancer: { consistentHash: { ${hash} } } }`),
        'a.example.com',
        undefined,
        undefined,
      ),
    );
    return made && toJson(RouteAction_HashPolicySchema, made);
  };
  assert.deepEqual(policy('httpHeaderName: x-user'), { header: { headerName: 'x-user' } });
  assert.deepEqual(policy('httpCookie: { name: c, path: /a, ttl: 60s, attributes: [{ name: Secure }, { name: SameSite, value: Lax }] }'), {
    cookie: { name: 'c', path: '/a', ttl: '60s', attributes: [{ name: 'Secure' }, { name: 'SameSite', value: 'Lax' }] },
  });
  assert.deepEqual(policy('httpCookie: { name: c }'), { cookie: { name: 'c' } });
  assert.deepEqual(policy('useSourceIp: true'), { connectionProperties: { sourceIp: true } });
  assert.deepEqual(policy('httpQueryParameterName: q'), { queryParameter: { name: 'q' } });
  assert.equal(policy('useSourceIp: false'), undefined);
  assert.equal(hashPolicy(undefined), undefined);
});
