/**
 * Calls of the reports, made through running proxies as well: what the application, the servers and the access logs see is what simulation says, on which
 * `explain` and `verify` rest. Names and ports are replaced by those of servers that run in tests.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { parseTarget } from '../../src/simulate/call.ts';
import { needs } from '../integration/tools.ts';
import { callOf, declaredBy, type Sketch } from '../property/calls.ts';
import { lookup, newTally, Pairs } from '../property/pairs.ts';
import { RunningMesh } from '../property/running-mesh.ts';

const WWW = 'www.example.com';
const API = 'api.example.com';

interface Played {
  /** What stands in the report, and what in its place. */
  readonly with: Readonly<Record<string, string>>;
  readonly calls: readonly string[];
}

const REPORTS: Readonly<Record<string, Played>> = {
  'r02-http-rule-on-https-port-80': {
    with: { 'www.python.example.org': WWW, 'echo.example.com': API },
    calls: [`https://${WWW}:80/`],
  },
  'r05-route-of-the-gateway-to-itself': { with: { 'dev.example.com': WWW }, calls: [`http://${WWW}/`, `https://${WWW}/`] },
  'r06-http-on-443': { with: { 'news.example.com': WWW }, calls: [`http://${WWW}/`, `https://${WWW}/`] },
  'r15-delegate-not-exported': { with: {}, calls: [`http://${WWW}/`] },
  'r16-mesh-upgrades-to-http2': { with: { 'site.example.com': WWW }, calls: [`http://${WWW}/`] },
  'r17-namespaces-at-passthrough': { with: { 'news.example.com': WWW }, calls: [`https://${WWW}/`] },
  'r18-two-hosts-one-tcp-rule': {
    with: { 'a.example.com': WWW, 'b.example.com': API },
    calls: [`https://${WWW}/`, `https://${API}/`],
  },
  'r19-tls-rule-at-mutual-server': { with: { 'google.example.com': WWW }, calls: [`https://${WWW}/`] },
  'r20-mutual-without-server-name': { with: { 'site.example.com': WWW }, calls: [`http://${WWW}/`] },
  'r22-distribution-without-locality': { with: { 'one.example.com': WWW }, calls: [`http://${API}/`] },
  'r29-port-in-host': { with: { 'bar.example.io': WWW, '9080': '8080' }, calls: [`http://${WWW}:8080/`] },
  'r30-policy-of-requests-at-passthrough': { with: { 'site.example.com': WWW }, calls: [`https://${WWW}/`] },
  'r32-port-settings-replace': { with: { 'pay.example.com': WWW }, calls: [`http://${WWW}/`, `https://${WWW}/`] },
  'r62-query-in-an-expression': {
    with: { 'api.example.com': WWW, 'next.example.com': 'api.example.com' },
    calls: [`http://${WWW}/path?param=next`],
  },
  'r63-expression-of-javascript': { with: { 'www.example.com': API, 'partner.example.com': WWW }, calls: [`http://${WWW}/foo/bar`] },
  'r65-delegate-of-another-name': { with: {}, calls: [`http://${WWW}/`] },
  'r71-fault-without-percentage': { with: {}, calls: [`http://${WWW}/get`] },
  'r73-requests-denied-beside-tls': { with: {}, calls: [`http://${WWW}/`, `https://${WWW}/`] },
};

describe('calls of reports through running proxies', {
  skip: process.platform === 'linux' ? needs('openssl') : 'needs Linux: all of 127/8 local',
}, () => {
  let mesh: RunningMesh;
  let pairs: Pairs;
  before(async () => {
    mesh = await RunningMesh.start();
    pairs = new Pairs(mesh);
  });
  after(() => mesh.close());

  for (const [name, played] of Object.entries(REPORTS))
    test(name, async () => {
      const configuration = configurationOf(name, played.with);
      const files = pairs.files(configuration);
      assert.equal(await pairs.apply(files), undefined);
      for (const url of played.calls) {
        const found = callOf(sketchOf(url), declaredBy(configuration.documents), (host, pod) => lookup(files, host, pod));
        assert.ok(found, `${url} has an address`);
        assert.equal(await pairs.compare(files, found.pod, found.call, newTally()), undefined, url);
      }
    });
});

/** The report's own objects; pods and gateways are those of the running mesh. */
function configurationOf(name: string, replaced: Readonly<Record<string, string>>) {
  const path = fileURLToPath(new URL(`reports/${name}.yaml`, import.meta.url));
  const text = Object.entries(replaced).reduce((left, [from, to]) => left.replaceAll(from, to), readFileSync(path, 'utf8'));
  const objects = parseAllDocuments(text).map((document) => document.toJS());
  const mesh = objects.find(({ kind }) => kind === 'ConfigMap')?.data.mesh;
  return { mesh: mesh ? parse(mesh) : {}, documents: objects.filter(({ kind }) => kind !== 'ConfigMap' && kind !== 'Pod') };
}

function sketchOf(url: string): Sketch {
  const { host, port, payload } = parseTarget(url);
  const { tls, http } = payload;
  return { from: 'sleep', to: host, port, tls, http: http && { ...http, headers: [] } };
}
