import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const MAIN = join(import.meta.dirname, '../../bin/sallyport.js');

const ENTRY = `# The outside.
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}   # as it was written
spec: {hosts: [www.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec: {selector: {istio: egressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}]}
`;
const ROUTES = (more = '', namespace = 'default') => `# The way.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: ${namespace}}
spec:
  hosts: [www.example.com]
  gateways: [mesh, default/egress]
  http:
  - match: [{gateways: [mesh]}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [default/egress]}]${more}
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
`;

describe('convert', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-convert-cli-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (documents: readonly string[], ...args: string[]) => {
    const file = join(folder, 'mesh.yaml');
    writeFileSync(file, documents.join('---\n'));
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'convert', file, ...args], { encoding: 'utf8' });
    return { status, stdout, stderr: stderr.replaceAll(file, 'mesh.yaml') };
  };
  const kinds = (text: string) => [...text.matchAll(/^kind: (\S+)$/gm)].map(([, kind]) => kind);

  test('prints the whole configuration and says that it is proved', () => {
    const { status, stdout, stderr } = run([ENTRY, GATEWAY, ROUTES()], '--to', 'gateway-api');
    assert.equal(status, 0, stderr);
    assert.ok(stdout.startsWith(ENTRY), 'what is not converted stands as it was written');
    assert.deepEqual(kinds(stdout), ['ServiceEntry', 'Gateway', 'HTTPRoute', 'HTTPRoute']);
    assert.ok(stdout.includes('---\n# The way.\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n'));
    assert.match(stderr, /^sallyport: proved: no call changes its outcome \(2 objects converted, \d+ calls compared\)\n$/);
  });

  test('converted again, nothing is left to do', () => {
    const { stdout } = run([ENTRY, GATEWAY, ROUTES()]);
    const again = run([stdout]);
    assert.equal(again.status, 0);
    assert.equal(again.stdout, stdout);
    assert.equal(again.stderr, 'sallyport: nothing was converted: the output is the input\n');
  });

  test('what can’t be expressed is listed with its line and stays, the rest of its object goes', () => {
    const { status, stdout, stderr } = run([ENTRY, GATEWAY, ROUTES('\n    retries: {attempts: 2}')]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(kinds(stdout), ['ServiceEntry', 'Gateway', 'HTTPRoute', 'VirtualService']);
    const left = stdout.slice(stdout.lastIndexOf('---'));
    assert.match(left, /gateways:\n {4}- default\/egress\n/);
    assert.match(left, /attempts: 2/);
    assert.doesNotMatch(left, /mesh/);
    assert.match(stderr, /^mesh\.yaml:9:18: Gateway default\/egress stays: name: its routes can’t all be expressed/m);
    assert.match(stderr, /^mesh\.yaml:23:14: VirtualService default\/www stays: http\.1\.retries: the standard HTTPRoute has no retries$/m);
    assert.match(stderr, /^sallyport: proved/m);
  });

  test('a call that ends differently is shown, and fails', () => {
    // The route goes beside its parent, where the Sidecar sees it; the VirtualService was out of its sight.
    const sidecar = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec: {egress: [{hosts: [default/*, istio-system/*]}]}
`;
    const { status, stderr } = run([ENTRY, GATEWAY, ROUTES('', 'other'), sidecar]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^sallyport: default\/local: a call to www\.example\.com:80 reaches .*before, it .*For example: GET http:\/\/www\.example\.com/m,
    );
    assert.match(stderr, /^sallyport: refuted: the converted configuration does not do the same$/m);
  });

  test('what no call could be found for is not proved', () => {
    const routes = ROUTES().replace(
      'match: [{gateways: [default/egress]}]',
      "match: [{gateways: [default/egress], uri: {regex: '/(a|b)(?:[0-9]{3}){4}x'}}]",
    );
    const { status, stderr } = run([ENTRY, GATEWAY, routes]);
    assert.equal(status, 1);
    assert.match(stderr, /^sallyport: undecided: /m);
    assert.match(stderr, /^sallyport: not proved, although none of \d+ calls changes its outcome$/m);
  });

  test('items of a List are converted one by one', () => {
    const item = (text: string) =>
      `- ${text
        .replace(/^#.*\n/, '')
        .trimEnd()
        .replaceAll('\n', '\n  ')}\n`;
    const list = `apiVersion: v1\nkind: List\nitems:\n${[ENTRY, GATEWAY, ROUTES()].map(item).join('')}`;
    const { status, stdout, stderr } = run([list]);
    assert.equal(status, 0, stderr);
    assert.deepEqual(kinds(stdout), ['ServiceEntry', 'Gateway', 'HTTPRoute', 'HTTPRoute']);
  });

  test('a route of the Gateway API that is not attached is no hindrance', () => {
    const route = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: astray, namespace: default}
spec: {parentRefs: [{name: none}], rules: [{}]}
`;
    const { status, stdout } = run([ENTRY, GATEWAY, ROUTES(), route]);
    assert.equal(status, 0);
    assert.deepEqual(kinds(stdout), ['ServiceEntry', 'Gateway', 'HTTPRoute', 'HTTPRoute', 'HTTPRoute']);
  });

  test('standard input, and a configuration that is broken', () => {
    const piped = spawnSync(process.execPath, [MAIN, 'convert', '-'], {
      encoding: 'utf8',
      input: [ENTRY, GATEWAY, ROUTES()].join('---\n'),
    });
    assert.equal(piped.status, 0, piped.stderr);
    assert.deepEqual(kinds(piped.stdout), ['ServiceEntry', 'Gateway', 'HTTPRoute', 'HTTPRoute']);
    const broken = run([ENTRY.replace('protocol: HTTP', 'protocl: HTTP')]);
    assert.equal(broken.status, 3);
    assert.match(broken.stderr, /did you mean protocol\?/);
    assert.match(broken.stderr, /the output would leave it out: mend it first/);
    assert.equal(broken.stdout, '');
  });
});
