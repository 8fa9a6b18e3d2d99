/** Hosts that are known only when they are called, under a wildcard, through the egress gateway: over HTTP and TLS, on both engines, from Istio's resources alone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findEnvoy } from '../../../scripts/fetch-envoy.ts';
import { REGISTRY_ONLY } from '../../support/egress-text.ts';
import { needs } from '../tools.ts';
import { APPLICATION, captured } from './captured.ts';
import { PROGRAM, Program } from './program.ts';

const skip = needs('root', 'ip', 'iptables', 'setpriv', 'curl', 'unshare', 'openssl');
const GATEWAY = 'istio-egressgateway.istio-system.svc.cluster.local';

/** The servers of the test are at loopback addresses. */
const CONFIG = `${REGISTRY_ONLY}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: partners, namespace: default, annotations: { sallyport.dev/private-addresses: 127.9.0.0/16 } }
spec:
  hosts: ["*.example.com"]
  location: MESH_EXTERNAL
  resolution: DYNAMIC_DNS
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: tls, protocol: TLS }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: default }
spec:
  selector: { istio: egressgateway }
  servers:
  - { port: { number: 80, name: http, protocol: HTTP }, hosts: ["*.example.com"] }
  - { port: { number: 443, name: tls, protocol: TLS }, hosts: ["*.example.com"], tls: { mode: PASSTHROUGH } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: partners, namespace: default }
spec:
  hosts: ["*.example.com"]
  gateways: [mesh, egress]
  http:
  - match: [{ gateways: [mesh], port: 80 }]
    route: [{ destination: { host: ${GATEWAY}, port: { number: 80 } } }]
  - match: [{ gateways: [egress], port: 80 }]
    route: [{ destination: { host: "*.example.com", port: { number: 80 } } }]
  tls:
  - match: [{ gateways: [mesh], port: 443, sniHosts: ["*.example.com"] }]
    route: [{ destination: { host: ${GATEWAY}, port: { number: 443 } } }]
  - match: [{ gateways: [egress], port: 443, sniHosts: ["*.example.com"] }]
    route: [{ destination: { host: "*.example.com", port: { number: 443 } } }]
`;

interface World {
  /** Body and status of a call as an application makes it, which knows some address of the host. */
  call(url: string, ...more: readonly string[]): string;
  /** Whether the clusters of the gateway, or of the sidecar, have had the address of the hosts. */
  gatewayReached(): boolean;
  sidecarReached(): boolean;
  readonly outside: Program;
}

async function world(t: TestContext, engine: readonly string[], text = CONFIG): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-wildcards-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [config, resolvConf] = [join(folder, 'config.yaml'), join(folder, 'resolv.conf')];
  writeFileSync(config, text);
  writeFileSync(resolvConf, 'nameserver 127.0.0.53\n');
  const inside = captured(t);
  const within = [
    ...inside,
    'unshare',
    '-m',
    'sh',
    '-c',
    `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`,
    'sh',
    process.execPath,
  ] as const;
  const command = within as unknown as readonly [string, ...string[]];
  const outside = new Program([], [...command, join(import.meta.dirname, 'wildcard-hosts.ts')]);
  t.after(() => outside.end());
  await outside.says(/serving/, 'output');
  const up = new Program(['up', config, '--grace', '0ms', ...engine], [...command, PROGRAM]);
  t.after(() => up.end());
  await up.says(/: ready/);
  const run = (...words: string[]) => {
    const [program, ...rest] = [...inside, ...words];
    try {
      return execFileSync(program, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
      return `exit code ${(error as { status?: number }).status}`;
    }
  };
  return {
    outside,
    call: (url, ...more) =>
      run(...APPLICATION, 'curl', '-s', '-k', '-m', '20', '-w', '%{http_code}', '--connect-to', '::203.0.113.1:', ...more, url),
    gatewayReached: () => run('curl', '-s', '127.0.100.1:15000/clusters').includes('127.9.9.9:'),
    sidecarReached: () => run('curl', '-s', '127.0.0.1:15000/clusters').includes('127.9.9.9:'),
  };
}

const envoy = findEnvoy();

for (const [name, engine, without] of [
  ['embedded', [], false],
  ['envoy', ['--engine', 'envoy', '--envoy', envoy ?? ''], envoy ? false : 'there is no Envoy'],
] as const)
  test(`hosts under a wildcard are resolved at the gateway, at declared ports (${name})`, { skip: skip || without }, async (t) => {
    const { call, gatewayReached, outside } = await world(t, engine);
    assert.equal(call('http://one.example.com/'), 'hello from one.example.com\n200');
    assert.equal(call('https://two.example.com/'), 'hello from two.example.com\n200');
    assert.equal(gatewayReached(), true);
    // Other names are not looked up; a port that is not declared leads nowhere; a name without an address says so.
    assert.equal(call('http://other.test/'), '502');
    assert.match(call('https://other.test/'), /exit code (35|56)/);
    assert.match(call('http://one.example.com:8080/'), /exit code (52|56)/);
    assert.match(call('http://nx.example.com/'), /503$/);
    await outside.says(/asked for nx\.example\.com/, 'output');
    assert.match(outside.output, /asked for one\.example\.com[\s\S]*asked for two\.example\.com/);
    assert.doesNotMatch(outside.output, /other\.test/);
  });

test('a suffix of one label, bound, takes in nearly all hosts: through the gateway alone, at declared ports, each call to one host', {
  skip,
}, async (t) => {
  const text = CONFIG.replaceAll('*.example.com', '*.com').replace('annotations: {', 'annotations: { sallyport.dev/bind: enforce,');
  const { call, gatewayReached, sidecarReached, outside } = await world(t, [], text);
  assert.equal(call('http://one.example.com/'), 'hello from one.example.com\n200');
  assert.equal(call('https://two.example.com/'), 'hello from two.example.com\n200');
  assert.deepEqual([gatewayReached(), sidecarReached()], [true, false]);
  assert.match(call('http://one.example.com:8080/'), /exit code (52|56)/);
  assert.match(call('https://other.test/'), /exit code (35|56)/);
  assert.equal(call('http://one.example.com/', '-H', 'host: other.test'), '502');
  assert.match(call('http://one.example.com/', '-H', 'host: two.example.com'), /hello from two\.example\.com\n200/);
  assert.doesNotMatch(outside.output, /other\.test/);
});
