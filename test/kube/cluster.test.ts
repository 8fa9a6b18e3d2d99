/** Questions on a live cluster, asked of a real API server. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();

const WORLD = `
apiVersion: v1
kind: Namespace
metadata: { name: istio-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
`;

const MESH = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    outboundTrafficPolicy: { mode: REGISTRY_ONLY }
---
apiVersion: v1
kind: Service
metadata: { name: istio-egressgateway, namespace: istio-system }
spec: { selector: { istio: egressgateway }, ports: [{ name: http2, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: egress, namespace: istio-system, labels: { istio: egressgateway } }
spec: { containers: [{ name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: 10.244.0.10, podIPs: [{ ip: 10.244.0.10 }], conditions: [{ type: Ready, status: "True" }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: egress-1, namespace: istio-system, labels: { kubernetes.io/service-name: istio-egressgateway } }
addressType: IPv4
endpoints: [{ addresses: [10.244.0.10], conditions: { ready: true }, targetRef: { kind: Pod, name: egress, namespace: istio-system } }]
ports: [{ name: http2, port: 8080, protocol: TCP }]
---
apiVersion: v1
kind: Pod
metadata: { name: cart, namespace: shop, labels: { app: cart } }
spec: { containers: [{ name: app, image: app }, { name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: 10.244.0.20, podIPs: [{ ip: 10.244.0.20 }], conditions: [{ type: Ready, status: "True" }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: www, namespace: shop }
spec:
  hosts: [www.example.com]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  endpoints: [{ address: 203.0.113.7 }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [www.example.com] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: shop }
spec:
  hosts: [www.example.com]
  gateways: [mesh, istio-system/egress]
  http:
    - match: [{ gateways: [mesh], port: 80 }]
      route: [{ destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } } }]
    - match: [{ gateways: [istio-system/egress], port: 80 }]
      route: [{ destination: { host: www.example.com, port: { number: 80 } } }]
`;

let server: ApiServer;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start([
      { name: 'reader', groups: ['readers'] },
      { name: 'tenant', groups: [] },
    ]);
    await server.apply(WORLD);
    await server.apply(MESH);
  },
  { timeout: 240_000 },
);
after(() => server?.stop());

interface Ran {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function run(args: readonly string[], kubeconfig = server.kubeconfig()): Promise<Ran> {
  const program = new Program([...args, '--kube', '--kubeconfig', kubeconfig], [process.execPath, PROGRAM]);
  const code = await program.exit;
  return { code, output: program.output, errors: program.errors };
}

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-pull-request-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'change.yaml');
  writeFileSync(path, text);
  return path;
}

test('analyze, explain, verify, describe and netpol read a cluster', { skip }, async () => {
  const analyzed = await run(['analyze', '-o', 'json']);
  const findings = JSON.parse(analyzed.output) as { code: string; origin: string; reference?: string }[];
  assert.deepEqual([analyzed.code, analyzed.errors], [0, '']);
  assert.deepEqual(
    findings.map(({ code, reference }) => `${code} ${reference}`),
    ['SP1023 cluster: Gateway istio-system/egress spec.selector', 'IST0102 cluster: Namespace default metadata.name'],
  );
  const explained = await run(['explain', 'http://www.example.com', '--from', 'shop/cart']);
  assert.match(explained.output, /istio-system\/egress\n[\s\S]*Reaches www\.example\.com at 203\.0\.113\.7:80/);
  assert.match(explained.output, /\[VirtualService shop\/www\]/);
  const verified = await run(['verify', '--adversary', 'captured']);
  assert.match(verified.output, /^PROVED \(captured/);
  assert.equal(verified.code, 0);
  assert.match((await run(['describe', 'workload', 'shop/cart'])).output, /VirtualService shop\/www/);
  assert.match((await run(['netpol'])).output, /kind: NetworkPolicy/);
});

test('diff says what files would change in the cluster if they were applied', { skip }, async (t) => {
  const widened = file(
    t,
    'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: pay, namespace: shop }\nspec:\n  hosts: [pay.example.org]\n  ports: [{ number: 443, name: tls, protocol: TLS }]\n  resolution: DNS\n',
  );
  const { code, output } = await run(['diff', widened]);
  assert.equal(code, 1);
  assert.match(output, /ServiceEntry shop\/pay is new \[.*change\.yaml:1:1\]\n {2}widens/);
  // What is there already, as it is there, changes nothing.
  const same = await run(['diff', file(t, MESH.trim())]);
  assert.deepEqual([same.code, same.output], [0, 'No call changes its outcome.\n']);
  const laidOver = await run(['explain', 'https://pay.example.org', '--from', 'shop/cart', '-f', widened]);
  assert.match(laidOver.output, /Reaches pay\.example\.org|\[ServiceEntry shop\/pay .*change\.yaml/);
});

test('a Deployment that files add has no pods yet, and nothing is decided about them', { skip }, async (t) => {
  const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: web, image: web }] } }
`;
  const added = await run(['diff', file(t, deployment)]);
  assert.equal(added.code, 1);
  assert.match(added.output, /undecided: Deployment shop\/web: its pods are not there yet/);
  await server.apply(deployment);
  t.after(() => server.delete('Deployment', 'apps/v1', 'web', 'shop'));
  assert.equal((await run(['diff', file(t, deployment)])).code, 0);
});

test('credentials: a certificate, a file with a token, a program; and the name that a certificate is for', { skip }, async () => {
  const certificate = server.kubeconfig({ 'client-certificate': 'client.crt', 'client-key': 'client.key' });
  writeFileSync(join(server.folder, 'token'), `${server.token('admin')}\n`);
  const tokenFile = server.kubeconfig({ tokenFile: 'token' }, { 'tls-server-name': 'kubernetes.test' });
  const answer = { kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status: { token: server.token('admin') } };
  const args = ['-c', `echo '${JSON.stringify(answer)}'`];
  const exec = server.kubeconfig({ exec: { apiVersion: answer.apiVersion, command: 'sh', args, interactiveMode: 'Never' } });
  for (const kubeconfig of [certificate, tokenFile, exec]) assert.match((await run(['analyze'], kubeconfig)).output, /objects read/);
});

test('whoever is not the server is not believed, and who is not believed is said', { skip }, async () => {
  const refused: [string, RegExp][] = [
    [server.kubeconfig({ token: 'wrong' }), /does not take these credentials/],
    [server.kubeconfig(undefined, { 'tls-server-name': 'other.test' }), /altnames/],
    [server.kubeconfig(undefined, { 'certificate-authority': undefined }), /certificate-authority in the kubeconfig/],
  ];
  for (const [kubeconfig, message] of refused) {
    const { code, errors, output } = await run(['verify'], kubeconfig);
    assert.deepEqual([code, output], [3, '']);
    assert.match(errors, message);
    assert.doesNotMatch(errors, new RegExp(server.token('admin')));
  }
  const insecure = server.kubeconfig(undefined, { 'certificate-authority': undefined, 'insecure-skip-tls-verify': true });
  assert.match((await run(['analyze'], insecure)).errors, /WARNING: .* is not verified/);
});

const ROLE = (name: string, rules: readonly object[]) =>
  [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'Group', name: 'readers' }],
    },
  ]
    .map((each) => JSON.stringify(each))
    .join('\n---\n');

test('what may not be read is said, and nothing is proved beside it', { skip }, async () => {
  const read = (apiGroups: readonly string[], resources: readonly string[]) => ({ apiGroups, resources, verbs: ['get', 'list', 'watch'] });
  // All but AuthorizationPolicies and Secrets, and CRDs, of which no call depends.
  const rules = [
    read([''], ['namespaces', 'services', 'pods', 'nodes', 'configmaps']),
    read(['networking.istio.io', 'telemetry.istio.io', 'gateway.networking.k8s.io', 'extensions.istio.io'], ['*']),
    read(['security.istio.io'], ['peerauthentications', 'requestauthentications']),
    read(['apps', 'discovery.k8s.io', 'networking.k8s.io', 'admissionregistration.k8s.io'], ['*']),
  ];
  await server.apply(ROLE('most', rules));
  const kubeconfig = server.kubeconfig({ token: server.token('reader') });
  const verified = await run(['verify', '--adversary', 'captured'], kubeconfig);
  assert.equal(verified.code, 1);
  assert.match(
    verified.output,
    /^UNDECIDED[\s\S]*undecided: AuthorizationPolicy: authorizationpolicies\.security\.istio\.io can't be read/,
  );
  assert.doesNotMatch(verified.output, /customresourcedefinitions/);
  const analyzed = await run(['analyze', '-o', 'json'], kubeconfig);
  const unread = (JSON.parse(analyzed.output) as { code: string; level: string; origin: string }[]).filter(({ code }) => code === 'SP0016');
  assert.deepEqual(
    unread.map(({ level, origin }) => `${level} ${origin}`),
    ['Error AuthorizationPolicy', 'Warning CustomResourceDefinition'],
  );
  assert.equal(analyzed.code, 1);
});

test('without a MeshConfig nothing passes for proved, unless one is named', { skip }, async (t) => {
  const elsewhere = ['verify', '--adversary', 'captured', '-i', 'elsewhere'];
  const verified = await run(elsewhere);
  assert.match(verified.errors, /there is no such ConfigMap, and Istio's defaults are taken in place of the mesh's settings/);
  assert.doesNotMatch(verified.output, /^PROVED/m);
  assert.equal(verified.code, 1);
  const named = await run([...elsewhere, '--mesh-config', file(t, 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }\n')]);
  assert.match(named.output, /^PROVED \(captured/);
});

test('who may read one namespace gets what that holds, and is told that it is not all', { skip }, async () => {
  const names = { metadata: { name: 'tenant', namespace: 'shop' } };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const rules = [{ apiGroups: ['networking.istio.io'], resources: ['virtualservices'], verbs: ['list'] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tenant' };
  const objects = [
    { apiVersion, kind: 'Role', ...names, rules },
    { apiVersion, kind: 'RoleBinding', ...names, roleRef, subjects: [{ kind: 'User', name: 'tenant' }] },
  ];
  await server.apply(objects.map((each) => JSON.stringify(each)).join('\n---\n'));
  const { output, code } = await run(['analyze', '-n', 'shop', '--all'], server.kubeconfig({ token: server.token('tenant') }));
  assert.equal(code, 1);
  assert.match(
    output,
    /virtualservices\.networking\.istio\.io can't be read: what there is of them outside of shop, istio-system is not known/,
  );
  assert.match(output, / 1 object read/);
});

test('of Secrets those are read that something refers to; that one may not be read is not that it is missing', { skip }, async (t) => {
  const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: in, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 443, name: https, protocol: HTTPS }, hosts: [in.example.com], tls: { mode: SIMPLE, credentialName: in-cert } }]
`;
  await server.apply(gateway);
  t.after(() => server.delete('Gateway', 'networking.istio.io/v1', 'in', 'istio-system'));
  const codes = async (kubeconfig?: string) => {
    const { output } = await run(['analyze', '-o', 'json'], kubeconfig);
    const found = JSON.parse(output) as { code: string; origin: string }[];
    return found.map(({ code, origin }) => `${code} ${origin}`).filter((each) => /^(?:IST0101|SP0016) .*\/in/.test(each));
  };
  assert.deepEqual(await codes(), ['IST0101 Gateway istio-system/in']);
  assert.deepEqual(await codes(server.kubeconfig({ token: server.token('reader') })), [
    'SP0016 Secret istio-system/in-cert',
    'SP0016 Secret istio-system/in-cert-cacert',
  ]);
  await server.apply(
    'apiVersion: v1\nkind: Secret\nmetadata: { name: in-cert, namespace: istio-system }\nstringData: { tls.crt: nonsense, tls.key: private }\n',
  );
  t.after(() => server.delete('Secret', 'v1', 'in-cert', 'istio-system'));
  const { output } = await run(['analyze']);
  assert.match(output, /IST0161[\s\S]*has a tls\.crt that is no PEM certificate/);
  assert.doesNotMatch(output, /private"|tls\.key: private/);
});

test('an object of a kind that is not read is not passed over', { skip }, async (t) => {
  await server.apply(
    'apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: { name: w, namespace: istio-system }\nspec: { url: "oci://x/y" }\n',
  );
  t.after(() => server.delete('WasmPlugin', 'extensions.istio.io/v1alpha1', 'w', 'istio-system'));
  const { code, output } = await run(['verify', '--adversary', 'captured']);
  assert.equal(code, 1);
  assert.match(output, /undecided: WasmPlugin istio-system\/w changes or refuses requests in proxies, and is not read/);
});

test('a pod without the proxy’s container has no sidecar, whatever its namespace says', { skip }, async (t) => {
  await server.apply(`
apiVersion: v1
kind: Pod
metadata: { name: bare, namespace: shop }
spec: { containers: [{ name: app, image: app }] }
status: { phase: Running, podIP: 10.244.0.21, podIPs: [{ ip: 10.244.0.21 }] }
`);
  t.after(() => server.must('DELETE', '/api/v1/namespaces/shop/pods/bare?gracePeriodSeconds=0'));
  const { output } = await run(['verify', '--adversary', 'captured']);
  assert.match(output, /undecided: Pod shop\/bare has no sidecar \(it runs without a container istio-proxy\)/);
});

test('a controller serves a cluster and follows it', { skip }, async (t) => {
  const ports = ['--xds', `127.0.0.1:${await freePort()}`, '--status-address', '127.0.0.1:0'];
  const args = ['controller', '--kube', '--kubeconfig', server.kubeconfig(), ...ports];
  const controller = new Program(args, [process.execPath, PROGRAM]);
  t.after(() => controller.end());
  await controller.says(/: ready/);
  await server.apply(
    'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: late, namespace: shop }\nspec: { hosts: [late.example.org], ports: [{ number: 443, name: tls, protocol: TLS }], resolution: DNS }\n',
  );
  t.after(() => server.delete('ServiceEntry', 'networking.istio.io/v1', 'late', 'shop'));
  await controller.says(/SP1001\S* ServiceEntry shop\/late \(cluster: ServiceEntry shop\/late spec\.hosts\[0\]\)/);
  assert.equal(await controller.end(), 0);
});

test('which MeshConfig counts has to be clear', { skip }, async (t) => {
  await server.apply('apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio-canary, namespace: istio-system }\ndata: { mesh: "{}" }\n');
  t.after(() => server.delete('ConfigMap', 'v1', 'istio-canary', 'istio-system'));
  // The canary's mesh lets everything out.
  const canary = await run(['verify', '--adversary', 'captured', '--revision', 'canary']);
  assert.match(canary.output, /^REFUTED/);
  assert.match((await run(['verify', '--revision', 'none'])).errors, /no MeshConfig of revision none: there are canary/);
  await server.delete('ConfigMap', 'v1', 'istio', 'istio-system');
  t.after(() => server.apply(MESH));
  const { code, errors } = await run(['verify']);
  assert.equal(code, 3);
  assert.match(errors, /say --revision; there are canary/);
});
