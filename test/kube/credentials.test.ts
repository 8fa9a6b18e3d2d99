/**
 * Credentials of EgressPolicies in a cluster: a real API server, a controller that may read what the chart lets it read, a gateway that proves who it is by its
 * token, and a workload with its certificate.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { requestCertificate } from '../../src/agent/ca-client.ts';
import { newKey } from '../../src/ca/certificates.ts';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { until } from '../integration/controller-world.ts';
import { makeCertificate, type Outside, startServer } from '../integration/outside.ts';
import { judged } from '../integration/signed.ts';
import { needs } from '../integration/tools.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer() || needs('openssl', 'unshare', 'root');
const CRD = join(import.meta.dirname, '../../deploy/chart/crds/egresspolicies.yaml');
const GROUP = '/apis/sallyport.dev/v1alpha1';
const HOST = 'api.localhost';
const AUTH = 'auth.localhost';
const SECRET = 'canary-Xw3Kq8Zt5Lm1Rb7Yd';
const RENEWED = 'canary-9Jd2Pf6Qs4Vn8Gc1H';
const FORMS = [SECRET, RENEWED].flatMap((text) => [text, btoa(text), Buffer.from(text).toString('hex')]);
/** It asks for certificates, and takes clients without. */
const ASKING = { requestCert: true, rejectUnauthorized: false };
/** Of the gateway, which has each port of hosts 20,000 higher. */
let gatewayPort: number;

const account = (name: string, namespace: string) => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: ${namespace} }
`;
const pod = (name: string, namespace: string, serviceAccount: string, labels: string, ip: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: ${labels} }
spec: { serviceAccountName: ${serviceAccount}, containers: [{ name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }], conditions: [{ type: Ready, status: "True" }] }
`;
const namespace = (name: string) => `
apiVersion: v1
kind: Namespace
metadata: { name: ${name} }
`;
const secret = (text: string, name = 'api', place = 'shop') => `
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: ${place} }
stringData: { token: ${text} }
`;
const keyed = (name: string, data: Readonly<Record<string, string>>, type = 'Opaque') => `
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: shop }
type: ${type}
stringData: ${JSON.stringify(data)}
`;
const BEARER = '{ bearer: true, from: { secret: { name: api, key: token } }, placeholder: none }';
const policy = (port: number, place = 'shop', host = HOST, credentials = BEARER, tls = '', also = '') => `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: { name: pays, namespace: ${place} }
spec:
  through: gateway
  tls: { originate: true, port: ${port}${tls} }
  to:
    - hosts: [${host}]
      ports: [${gatewayPort - 20_000}]
      protocol: HTTP
      credentials: [${credentials}]${also}
`;
/** What the chart allows but for Secrets, and those of the namespaces that its values name. */
const ACCESS = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: controller }
rules:
  - { apiGroups: [""], resources: [namespaces, nodes, pods, services, configmaps, events], verbs: [get, list, watch, create, patch] }
  - apiGroups: [discovery.k8s.io, apps, networking.k8s.io, networking.istio.io, security.istio.io, telemetry.istio.io, extensions.istio.io, sallyport.dev]
    resources: ["*"]
    verbs: [get, list, watch, patch]
  - { apiGroups: [gateway.networking.k8s.io, gateway.networking.x-k8s.io, apiextensions.k8s.io, admissionregistration.k8s.io], resources: ["*"], verbs: [get, list, watch, create, patch] }
  - { apiGroups: [events.k8s.io], resources: [events], verbs: [create] }
  - { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update] }
  - { apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create] }
  - { nonResourceURLs: [/.well-known/openid-configuration, /openid/v1/jwks], verbs: [get] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: controller }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: controller }
subjects: [{ kind: User, name: controller }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: shop }
rules: [{ apiGroups: [""], resources: [secrets], verbs: [get, list, watch] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader, namespace: shop }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [{ kind: User, name: controller }]
`;

let server: ApiServer;
let xds: number;
let status: string;
let controller: Program;
const running: Program[] = [];

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start([{ name: 'controller', groups: [] }]);
    await server.apply(CRD, namespace('istio-system'), namespace('shop'), namespace('blog'));
    await server.until(GROUP, ({ resources }) => resources?.some(({ name }: { name: string }) => name === 'egresspolicies/status'));
    await server.apply(
      account('egress', 'istio-system'),
      account('other', 'istio-system'),
      account('web', 'shop'),
      account('egress', 'shop'),
    );
    await server.apply(
      pod('egress', 'istio-system', 'egress', '{ istio: egressgateway }', '10.244.0.10'),
      pod('web', 'shop', 'web', '{ app: web }', '10.244.0.20'),
      ...ACCESS.split('---'),
    );
    [xds, status, gatewayPort] = [await freePort(), `127.0.0.1:${await freePort()}`, await freePort()];
    const ports = ['--xds', '0', '--xds-tls', `127.0.0.1:${xds}`, '--ca', join(server.folder, 'ca'), '--status-address', status];
    const user = server.kubeconfig({ token: server.token('controller') });
    const args = ['controller', '--kube', '--kubeconfig', user, '--cluster-tokens', '--gateways', '--engine', 'embedded', ...ports];
    controller = run(args);
    await controller.says(/: ready/);
  },
  { timeout: 240_000 },
);
after(async () => {
  for (const program of running) await program.end();
  await server?.stop();
});

function run(args: readonly string[], within: readonly [string, ...string[]] | readonly [] = []): Program {
  const program = new Program(args, [...within, process.execPath, PROGRAM]);
  running.push(program);
  return program;
}

async function tokenOf(name: string, place: string): Promise<string> {
  const spec = { audiences: ['istio-ca'], expirationSeconds: 3600 };
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return (await server.must('POST', `/api/v1/namespaces/${place}/serviceaccounts/${name}/token`, asked)).status.token;
}

const roots = () => join(server.folder, 'ca', 'root-cert.pem');

/** A gateway that trusts the outside's certificate, in place of the system's. @param outside PEM */
async function gateway(workload: string, serviceAccount: string, admin: number, outside: string): Promise<Program> {
  const [place = ''] = workload.split('/');
  const own = (name: string, text: string) => {
    const path = join(server.folder, `${workload.replace('/', '-')}-${serviceAccount}.${name}`);
    writeFileSync(path, text);
    return path;
  };
  const hosts = own('hosts', `127.0.0.1 localhost ${HOST} ${AUTH}\n`);
  const mounts = `mount --bind ${own('pem', outside)} /etc/ssl/certs/ca-certificates.crt && mount --bind ${hosts} /etc/hosts && exec "$@"`;
  const who = ['--role', 'router', '--workload', workload, '--service-account', serviceAccount, '--label', 'istio=egressgateway'];
  const token = own('token', await tokenOf(serviceAccount, place));
  const from = ['--xds', `127.0.0.1:${xds}`, '--xds-ca', roots(), '--xds-token-file', token, '--admin-address', `127.0.0.1:${admin}`];
  const keep = ['--keep', join(server.folder, 'kept')];
  return run(['proxy', ...from, ...who, ...keep, '--concurrency', '1'], ['unshare', '-m', 'sh', '-c', mounts, 'sh']);
}

/** What a workload's sidecar sends: the mesh's mutual TLS, with the host as SNI. */
async function caller(name: string, place: string) {
  const key = newKey();
  const proof = { token: await tokenOf(name, place) };
  const target = { address: '127.0.0.1', port: xds };
  const { chain, roots: ca } = await requestCertificate({ target, roots: readFileSync(roots(), 'utf8'), proof, key, lifeMs: 3_600_000 });
  const own = { cert: chain, key: key.export({ type: 'pkcs8', format: 'pem' }), ca };
  return (path: string, headers: Readonly<Record<string, string>> = {}) =>
    new Promise<{ status: number; text: string; headers: IncomingHttpHeaders }>((resolve, reject) => {
      const to = { host: '127.0.0.1', port: gatewayPort, path, servername: HOST, checkServerIdentity: () => undefined, agent: false };
      request({ ...to, ...own, headers: { host: HOST, ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }));
      })
        .on('error', reject)
        .end();
    });
}

function resolvedRefs(object: { status?: { conditions?: readonly { type: string; status: string; message: string }[] } }) {
  return object.status?.conditions?.find(({ type }) => type === 'ResolvedRefs');
}

async function toldRefs(place: string, expected: 'True' | 'False'): Promise<string> {
  const path = `${GROUP}/namespaces/${place}/egresspolicies/pays`;
  await server.until(path, (found) => resolvedRefs(found)?.status === expected);
  return resolvedRefs(await server.must('GET', path))!.message;
}

/** Waits until the policy in `shop` does. */
function refsSay(message: string): Promise<unknown> {
  return server.until(`${GROUP}/namespaces/shop/egresspolicies/pays`, (found) => resolvedRefs(found)?.message === message);
}

/** All that somebody might look at. */
async function looked(admin: number, ...programs: readonly Program[]): Promise<string> {
  const pages = [
    ...['config_dump', 'config_dump?include_eds', 'clusters', 'certs', 'stats', 'listeners'].map(
      (page) => `http://127.0.0.1:${admin}/${page}`,
    ),
    `http://${status}/status`,
    `http://${status}/metrics`,
  ];
  const texts = await Promise.all(pages.map(async (page) => (await fetch(page)).text()));
  const objects = await server.must('GET', `${GROUP}/egresspolicies`);
  const events = await server.must('GET', '/apis/events.k8s.io/v1/events');
  const kept = readdirSync(join(server.folder, 'kept'), { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  assert.ok(kept.length > 0);
  const files = kept.map(({ parentPath, name }) => decodedIn(readFileSync(join(parentPath, name), 'utf8')));
  return [...texts, ...files, JSON.stringify([objects, events]), ...programs.flatMap(({ output, errors }) => [output, errors])].join('\n');
}

/** The text, and what of it is base64. */
function decodedIn(text: string): string {
  const parts = text.match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? [];
  return [text, ...parts.map((part) => Buffer.from(part, 'base64').toString('latin1'))].join('\n');
}

async function outside(t: TestContext, answer?: RequestListener): Promise<Outside & { readonly cert: string }> {
  const certificate = makeCertificate(HOST, AUTH);
  const listener: Parameters<typeof startServer>[1] = {
    certificate: { ...certificate, ...ASKING },
    listener: (request, response) => {
      if (answer) {
        answer(request, response);
        return;
      }
      const { headers, url } = request;
      if (url === '/redirect') response.writeHead(302, { location: `https://evil.example/?t=${headers.authorization?.slice(7)}` });
      response.end(`${headers.authorization}`);
    },
  };
  return { ...(await startServer(t, listener)), cert: certificate.cert };
}

test('the gateway puts in what a Secret says, follows it, and is closed while it is missing', { skip, timeout: 300_000 }, async (t) => {
  const { port, cert, requests } = await outside(t);
  const admin = await freePort();
  await server.apply(policy(port));
  assert.match(await toldRefs('shop', 'False'), /^Secret shop\/api does not exist: calls that get it are refused \(503\)/);
  const proxy = await gateway('istio-system/egress', 'egress', admin, cert);
  await proxy.says(/: ready/);
  const call = await caller('web', 'shop');

  const without = await call('/v1');
  assert.equal(without.status, 503);
  assert.match(without.text, /the credential shop\/api\/token for api\.localhost \(header authorization \(Bearer\)\) cannot be had/);
  assert.equal(requests.length, 0);

  await server.apply(secret(SECRET));
  assert.equal(await toldRefs('shop', 'True'), 'Its credentials are there: shop/api/token.');
  await until(async () => (await call('/v1')).text === `Bearer ${SECRET}`);
  assert.equal((await call('/v1', { authorization: 'none' })).text, `Bearer ${SECRET}`);
  assert.equal((await call('/v1', { authorization: 'Bearer own' })).text, 'Bearer own');
  assert.equal((await call('/redirect')).headers.location, 'https://evil.example/?t=[credential]');

  const { pid } = proxy.child;
  await server.apply(secret(RENEWED));
  await until(async () => (await call('/v1')).text === `Bearer ${RENEWED}`);
  await server.delete('Secret', 'v1', 'api', 'shop');
  await until(async () => (await call('/v1')).status === 503);
  assert.match(await toldRefs('shop', 'False'), /does not exist/);
  await server.apply(secret(RENEWED));
  await until(async () => (await call('/v1')).text === `Bearer ${RENEWED}`);
  assert.equal(proxy.child.pid, pid);
  assert.equal(proxy.child.exitCode, null);

  const text = await looked(admin, proxy, controller);
  assert.match(text, /credential:shop\/api\/token/, 'the dump has the secret by its name');
  for (const form of FORMS) assert.ok(!text.includes(form));
  await proxy.end();
});

test('signatures, access tokens and client certificates are of Secrets, and follow them', { skip, timeout: 300_000 }, async (t) => {
  const token = 'canary-token-4Tz8Wq';
  const shown = makeCertificate('shop');
  const { port, cert } = await outside(t, async (request, response) => {
    const { authorization = '', host } = request.headers;
    const client = (request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? 'nobody';
    if (host!.startsWith(AUTH))
      response.end(JSON.stringify(authorization === `Basic ${btoa(`one:${SECRET}`)}` ? { access_token: token, token_type: 'Bearer' } : {}));
    else response.end(`${authorization.startsWith('AWS4') ? await judged(request, SECRET) : authorization}, ${client}`);
  });
  const admin = await freePort();
  const signing =
    '{ sigv4: { region: eu-west-1, service: s3 }, from: { secret: { name: aws, keys: { accessKeyId: id, secretAccessKey: key } } } }';
  await server.apply(policy(port, 'shop', HOST, signing), keyed('aws', { id: 'AKIDONE', key: SECRET }));
  await refsSay('Its credentials are there: shop/aws/accessKeyId=id,secretAccessKey=key.');
  const proxy = await gateway('istio-system/egress', 'egress', admin, cert);
  await proxy.says(/: ready/);
  const call = await caller('web', 'shop');
  const answers = (text: RegExp) => until(async () => text.test((await call('/v1')).text));
  await answers(/^signed by AKIDONE for s3, .*, nobody$/);
  await server.apply(keyed('aws', { id: 'AKIDTWO', key: SECRET }));
  await answers(/^signed by AKIDTWO for s3, .*, nobody$/);

  const oauth2 = `oauth2: { tokenEndpoint: "https://${AUTH}:${port}/token" }`;
  const asking = `{ bearer: true, from: { secret: { name: idp, keys: { clientId: id, clientSecret: key } }, ${oauth2} } }`;
  const also = `\n    - { hosts: [${AUTH}], ports: [${gatewayPort - 20_000}], protocol: HTTP, methods: [POST], paths: [/token] }`;
  await server.apply(keyed('idp', { id: 'one', key: 'another' }), policy(port, 'shop', HOST, asking, '', also));
  const lacks = /no access token can be had for api\.localhost .* answers without an access_token/;
  await until(async () => (await call('/v1')).status === 503 && lacks.test(proxy.errors));
  await server.apply(keyed('idp', { id: 'one', key: SECRET }));
  await answers(new RegExp(`^Bearer ${token}, nobody$`));

  await server.apply(policy(port, 'shop', HOST, '', ', clientCertificate: { secret: { name: own } }'));
  await refsSay('Secret shop/own does not exist: calls for which it is shown are refused (503). Create it.');
  await until(async () => (await call('/v1')).status === 503);
  await server.apply(keyed('own', { 'tls.crt': shown.cert, 'tls.key': shown.key }, 'kubernetes.io/tls'));
  await answers(/^, shop$/);
  await refsSay('Its credentials are there: shop/own.');
  await server.delete('Secret', 'v1', 'own', 'shop');
  await until(async () => (await call('/v1')).status === 503);

  const text = await looked(admin, proxy, controller);
  const key = shown.key.split('\n').find((line) => line.length > 40)!;
  for (const form of [...FORMS, token, btoa(token), key]) assert.ok(!text.includes(form), form);
  await proxy.end();
});

test('another identity that says it is the gateway gets no value, and its calls are refused', { skip, timeout: 300_000 }, async (t) => {
  const { port, cert, requests } = await outside(t);
  await server.apply(policy(port), secret(SECRET));
  await toldRefs('shop', 'True');
  const call = await caller('web', 'shop');
  for (const [workload, serviceAccount, answer, why] of [
    ['istio-system/stranger', 'other', 403, /which the egress gateway in istio-system alone gets, by its service account/],
    // It does not even see the routes.
    ['shop/stranger', 'egress', 404, /^$/],
  ] as const) {
    const admin = await freePort();
    const proxy = await gateway(workload, serviceAccount, admin, cert);
    await proxy.says(/: ready/);
    const { status: code, text } = await call('/v1');
    assert.deepEqual([code, requests.length], [answer, 0], `${workload}: ${text}`);
    assert.match(text, why);
    const dump = await (await fetch(`http://127.0.0.1:${admin}/config_dump`)).text();
    assert.doesNotMatch(dump, /credential:shop/);
    await proxy.end();
  }
  const claiming = await gateway('istio-system/egress', 'other', await freePort(), cert);
  await claiming.says(/xds-forbidden|but Pod istio-system\/egress is declared with "egress"/);
  await claiming.end();
});

test('Secrets of namespaces that the chart does not name are not read, and the status says so', { skip, timeout: 300_000 }, async () => {
  await server.apply(policy(443, 'blog', 'blog.localhost'), secret(SECRET, 'api', 'blog'));
  assert.match(await toldRefs('blog', 'False'), /^Secret blog\/api may not be read here: .*gateways\.secretNamespaces/);
});
