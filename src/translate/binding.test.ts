import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translated } from '../../test/support/translated.ts';
import { SALLYPORT_METADATA } from '../xds/names.ts';

const entry = (mode: string, more = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: default, annotations: {sallyport.dev/bind: "${mode}"}}
spec:
  hosts: [a.example]
  ports: [{number: 80, name: http, targetPort: 443, protocol: HTTP}, {number: 5432, name: tcp, protocol: TCP}]
  resolution: DNS
${more}`;

const rule = (tls: string) => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: default}
spec: {host: a.example, trafficPolicy: {tls: {mode: SIMPLE, ${tls}}}}`;

function refusals(text: string): (string | undefined)[] {
  const { resources } = translated(text);
  return [80, 5432].map((port) => {
    const cluster = resources.clusters.find(({ name }) => name === `outbound|${port}||a.example`)!;
    return cluster.metadata!.filterMetadata[SALLYPORT_METADATA]!.refusal as string | undefined;
  });
}

test('TLS that is originated for a bound host verifies a name of the host, or the cluster refuses', () => {
  const why = (tls: string) => refusals(entry('enforce', rule(tls))).map((text) => text?.replace(/.*enforce\), and (.*?)[.:] .*/, '$1'));
  assert.deepEqual(why('insecureSkipVerify: true'), Array(2).fill("the rule's tls does not verify the server's certificate"));
  assert.deepEqual(why('sni: b.example'), Array(2).fill("the rule's SNI is b.example"));
  assert.deepEqual(why('subjectAltNames: [b.example]'), Array(2).fill('a certificate for b.example would be taken for its own'));
  assert.deepEqual(why('sni: a.example'), Array(2).fill("the rule's tls verifies no name in the server's certificate"));
  // Requests bring the name that is verified; bytes do not.
  assert.deepEqual(why('caCertificates: system'), [undefined, "the rule's tls verifies no name in the server's certificate"]);
  assert.deepEqual(why('subjectAltNames: [a.example]'), [undefined, undefined]);
  for (const mode of ['off', 'audit']) assert.deepEqual(refusals(entry(mode, rule('insecureSkipVerify: true'))), [undefined, undefined]);
});

test('what is bound stands in the metadata of virtual hosts, chains and clusters, and nothing does where it is off', () => {
  const bound = (mode: string) => {
    const { clusters, routes, listeners } = translated(entry(mode)).resources;
    const all = [
      ...clusters.map(({ metadata }) => metadata),
      ...routes.flatMap(({ virtualHosts }) => virtualHosts.map(({ metadata }) => metadata)),
      ...listeners.flatMap((one) =>
        [...one.filterChains, ...(one.defaultFilterChain ? [one.defaultFilterChain] : [])].map(({ metadata }) => metadata),
      ),
    ];
    return all.flatMap((metadata) => metadata?.filterMetadata[SALLYPORT_METADATA]?.bind ?? []);
  };
  assert.deepEqual(bound('off'), []);
  const enforced = bound('enforce');
  assert.ok(enforced.length >= 4, `${enforced.length} are bound`);
  for (const each of enforced)
    assert.deepEqual(each, {
      mode: 'enforce',
      hosts: ['a.example'],
      ports: [80, 443, 5432],
      addresses: ['240.240.240.27', '2001:2::f0f0:f01b'],
    });
});
