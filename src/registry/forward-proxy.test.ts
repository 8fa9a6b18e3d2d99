import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf, meshFromText } from '../../test/support/mesh.ts';
import { proxyProblem, throughFor, throughRefusal } from './forward-proxy.ts';
import type { Service } from './model.ts';

const CONFIG = meshConfigOf();
const PORTS = '[{ number: 80, name: http, protocol: HTTP }, { number: 3128, name: http-proxy, protocol: HTTP }]';

function serviceOf(host: string, annotations: string, resolution = 'DNS'): Service {
  const { registry } = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: s, namespace: default, annotations: { ${annotations} } }
spec: { hosts: ["${host}"], location: MESH_EXTERNAL, ports: ${PORTS}, resolution: ${resolution} }`);
  return registry.services[0]!;
}

const through = (to: string) => `sallyport.dev/through: "${to}"`;
const PROXY = { host: 'proxy.example', port: 3128 };

test('a host is reached through the proxy that it names, or straight on', () => {
  assert.equal(throughFor(serviceOf('a.example', ''), CONFIG), 'direct');
  assert.equal(throughFor(serviceOf('a.example', through('direct')), CONFIG), 'direct');
  assert.deepEqual(throughFor(serviceOf('a.example', through('proxy.example:3128')), CONFIG), PROXY);
  assert.equal(throughFor(serviceOf('a.example', through('proxy')), CONFIG), 'malformed');
});

test('why a host can’t be reached through one', () => {
  const refusal = (host: string, to: string, resolution = 'DNS', passthrough = false) => {
    const service = serviceOf(host, through(to), resolution);
    return throughRefusal(service, throughFor(service, CONFIG), passthrough);
  };
  assert.equal(refusal('a.example', 'proxy.example:3128'), undefined);
  assert.equal(refusal('a.example', 'direct', 'NONE', true), undefined);
  assert.match(refusal('a.example', 'proxy') ?? '', /not written as HOST:PORT/);
  assert.match(refusal('a.example', 'a.example:3128') ?? '', /through itself/);
  assert.match(refusal('*.example', 'proxy.test:3128', 'DYNAMIC_DNS') ?? '', /known only when they are called/);
  for (const [resolution, passthrough] of [
    ['NONE', false],
    ['DNS', true],
  ] as const)
    assert.match(refusal('a.example', 'proxy.example:3128', resolution, passthrough) ?? '', /the address that its client dialled/);
});

test('why nothing can be reached through a proxy', () => {
  const problem = (annotations: string, port = 3128) => proxyProblem({ ...PROXY, port }, serviceOf('proxy.example', annotations), CONFIG);
  assert.match(proxyProblem(PROXY, undefined, CONFIG) ?? '', /no ServiceEntry/);
  assert.deepEqual([problem(''), problem('', 80)], [undefined, undefined], 'by either of its ports');
  assert.equal(problem('', 81), 'does not declare port 81');
  assert.match(problem(through('other.example:3128')) ?? '', /itself to be reached through one/);
  assert.match(problem('sallyport.dev/proxy-authorization: SALLYPORT_PROXY_A') ?? '', /holds in namespace istio-system/);
});
