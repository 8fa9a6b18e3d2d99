/** Each disagreement that was found between the simulator and the running data plane, and what is right, in both. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { Trace } from '../../src/simulate/trace.ts';
import { needs } from '../integration/tools.ts';
import { callOf } from './calls.ts';
import { FOUND } from './found.ts';
import { lookup, newTally, Pairs } from './pairs.ts';
import { RunningMesh } from './running-mesh.ts';

describe('disagreements that were found', {
  skip: process.platform === 'linux' ? needs('openssl') : 'needs Linux: all of 127/8 local',
}, () => {
  let mesh: RunningMesh;
  let pairs: Pairs;
  before(async () => {
    mesh = await RunningMesh.start();
    pairs = new Pairs(mesh);
  });
  after(() => mesh.close());

  for (const { name, mode = 'REGISTRY_ONLY', config, call: sketch, expect } of FOUND) {
    test(name, async () => {
      const documents = parseAllDocuments(config.join('---\n')).map((document) => document.toJS() as object);
      const files = pairs.files({ mesh: { outboundTrafficPolicy: { mode } }, documents });
      assert.equal(await pairs.apply(files), undefined);
      const found = callOf({ from: 'sleep', tls: undefined, http: undefined, ...sketch }, (host, pod) => lookup(files, host, pod));
      assert.ok(found, 'the name is known');
      const [trace, ...others] = pairs.simulate(files, found.pod, found.call);
      assert.equal(others.length, 0, 'chance decides nothing');
      assert.equal(describeTrace(trace!), expect);
      assert.equal(await pairs.compare(files, found.pod, found.call, newTally()), undefined);
    });
  }
});

/** `sleep CLUSTER > egress CLUSTER: how it ends`. */
function describeTrace({ hops, outcome }: Trace): string {
  const way = hops.map(({ proxy, cluster }) => `${proxy.slice(proxy.indexOf('/') + 1)} ${cluster}`.trim()).join(' > ');
  if (outcome.kind === 'reply') return `${way}: ${outcome.status}`;
  if (outcome.kind !== 'upstream') return `${way}: ${outcome.kind}`;
  const { tls, http } = outcome.payload;
  const secured = tls ? ` in TLS${tls.serverName ? ` with SNI ${tls.serverName}` : ''}` : '';
  if (!http) return `${way}: bytes${secured}`;
  const headers = [...http.headers].filter(([name]) => /^x-(t-)?[ab]$/.test(name)).map(([name, value]) => `${name}=${value}`);
  return `${way}: ${http.method} ${http.authority} ${http.path} [${headers.sort().join(' ')}]${secured}`;
}
