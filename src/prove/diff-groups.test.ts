import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../config/memory.ts';
import { loadMeshConfig } from '../config/mesh-config.ts';
import { compare } from './diff.ts';
import { causeText, groupedChanges } from './diff-groups.ts';
import { simulateFiles } from './simulated.ts';
import { podText, WWW_ENTRY } from './testing.ts';

const PODS = ['a', 'b'].map((name, i) => podText(name, `10.0.0.${i + 1}`)).join('');
const mesh = (mode: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy:
      mode: ${mode}
---`;

function groups(before: string, after: string): unknown {
  const [old, young] = [before, after].map((text) => {
    const snapshot = snapshotFromText(PODS + text, { file: 'mesh.yaml' });
    const { config, position } = loadMeshConfig(snapshot);
    return simulateFiles(snapshot, config, position);
  });
  return groupedChanges(compare(old!, young!)).map(({ causes, rows }) => ({
    causes: causes.map(causeText),
    rows: rows.map(
      ({ kind, workloads, destinations, before, after }) =>
        `${kind} ${workloads.join()}: ${destinations.join('; ')} ${after}; before, it ${before.join(' or ')}`,
    ),
  }));
}

test('REGISTRY_ONLY to ALLOW_ANY is one line of the MeshConfig, and any host at any port', () => {
  assert.deepEqual(groups(mesh('REGISTRY_ONLY') + WWW_ENTRY, mesh('ALLOW_ANY') + WWW_ENTRY), [
    {
      causes: ['MeshConfig outboundTrafficPolicy.mode: REGISTRY_ONLY -> ALLOW_ANY [mesh.yaml:20:13]'],
      rows: [
        'widens default/a,default/b: any other host, any port but 15001 reaches the host directly; before, it is closed or is answered 502',
      ],
    },
  ]);
});

test('a field of an object, hosts that change alike, and wildcards by what is written', () => {
  const entry = (hosts: string) => WWW_ENTRY.replace('resolution: DNS', 'resolution: NONE').replace('www.example.com', hosts);
  assert.deepEqual(
    groups(mesh('REGISTRY_ONLY') + entry('www.example.com'), mesh('REGISTRY_ONLY') + entry("www.example.com, '*.example.org'")),
    [
      {
        causes: ['ServiceEntry default/www spec.hosts: ["www.example.com"] -> ["www.example.com","*.example.org"] [mesh.yaml:25:15]'],
        rows: ['widens default/a,default/b: *.example.org:80 reaches the host directly; before, it is answered 502'],
      },
    ],
  );
});

test('of a long list what came and went is told', () => {
  const names = (last: string) => `www.example.com, a-long-name.example.org, another-long-name.example.org, ${last}`;
  const entry = (hosts: string) => WWW_ENTRY.replace('resolution: DNS', 'resolution: NONE').replace('www.example.com', hosts);
  const before = mesh('REGISTRY_ONLY') + entry(names('b.example.org'));
  const after = mesh('REGISTRY_ONLY') + entry(names('c.example.org, d.example.org'));
  assert.match(
    JSON.stringify(groups(before, after)),
    /spec\.hosts: without \[\\"b\.example\.org\\"\], with \[\\"c\.example\.org\\",\\"d\.example\.org\\"\] \[mesh\.yaml:25:15\]/,
  );
});

test('what is new, what is gone, and what decides without being seen', () => {
  const other = WWW_ENTRY.replaceAll('www', 'api');
  const causes = (before: string, after: string) => (groups(before, after) as { causes: string[] }[]).map((group) => group.causes);
  const base = mesh('REGISTRY_ONLY') + WWW_ENTRY;
  assert.deepEqual(causes(base, base + other), [['ServiceEntry default/api is new [mesh.yaml:27:1]']]);
  assert.deepEqual(causes(base + other, base), [['ServiceEntry default/api is gone [mesh.yaml:27:1]']]);
  const sidecar = `\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: default}\nspec: {egress: [{hosts: ['none/*']}]}\n---`;
  assert.deepEqual(causes(base, base + sidecar), [['Sidecar default/s is new [mesh.yaml:27:1]']]);
});
