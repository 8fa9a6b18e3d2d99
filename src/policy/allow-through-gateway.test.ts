import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { analyze } from '../analysis/index.ts';
import { snapshotFromText } from '../config/memory.ts';
import { explain } from '../prove/explain.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { verifyMesh } from '../prove/verify.ts';
import { parseTarget } from '../simulate/call.ts';
import { parseAllowed } from './allow.ts';
import { resourcesThroughGateway } from './allow-through-gateway.ts';

const GATEWAY = `
apiVersion: v1
kind: Service
metadata: { name: istio-egressgateway, namespace: istio-system }
spec: { selector: { istio: egressgateway }, ports: [{ name: http2, port: 80 }, { name: https, port: 443 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: egress-1, namespace: istio-system, labels: { istio: egressgateway } }
spec: { containers: [{ name: istio-proxy }] }
status: { podIP: 10.0.0.9 }
---
apiVersion: v1
kind: Pod
metadata: { name: caller, namespace: default, labels: { app: caller, security.istio.io/tlsMode: istio } }
spec: { containers: [{ name: app }, { name: istio-proxy }] }
status: { podIP: 10.0.0.8 }
`;

function meshOf(resources: readonly object[]) {
  const snapshot = snapshotFromText(`${GATEWAY}---\n${resources.map((one) => JSON.stringify(one)).join('\n---\n')}`);
  return simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
}

test('every allowed host is reached through the egress gateway, as is proved of all calls', () => {
  const only = [{ methods: ['GET'], paths: ['/v1/*'] }];
  const files = meshOf(
    resourcesThroughGateway([
      ...['a.example', '*.b.example:443', 'tcp://c.example:5432', '10.1.0.5:6379'].map(parseAllowed),
      { host: 'd.example', ports: [{ port: 8080, protocol: 'HTTP', only }] },
    ]),
  );
  const { snapshot, registry, config } = files.mesh;
  const errors = analyze({ snapshot, registry, mesh: config, now: 0 }).filter(({ level }) => level === 'Error');
  assert.deepEqual(errors, []);
  const ends = (target: string, method = 'GET') => {
    const { hops, outcome } = explain(files, parseTarget(target, { method }), { from: 'default/caller' }).trace;
    return `${hops.length} hops: ${outcome.kind === 'reply' ? outcome.status : outcome.kind}`;
  };
  for (const [target, end, method] of [
    ['http://a.example/', '2 hops: upstream'],
    ['https://a.example/', '2 hops: upstream'],
    ['https://any.b.example/', '2 hops: upstream'],
    ['tcp://c.example:5432', '2 hops: upstream'],
    ['tcp://10.1.0.5:6379', '2 hops: upstream'],
    ['http://d.example:8080/v1/x', '2 hops: upstream'],
    ['http://d.example:8080/v1/x', '2 hops: 403', 'POST'],
    ['http://d.example:8080/v2', '2 hops: 403'],
  ] as const)
    assert.equal(ends(target, method), end, `${method ?? 'GET'} ${target}`);
  const [verdict] = verifyMesh(files, { adversary: 'captured', maxCells: 100_000 });
  assert.equal(verdict!.result, 'proved', JSON.stringify(verdict, undefined, 1));
});

test('a short name is refused: it would take all other hosts with it', () => {
  assert.throws(() => resourcesThroughGateway(['a.example', 'localhost:3000'].map((text) => parseAllowed(text))), {
    code: 'usage',
    message: /localhost is a short name/,
  });
});
