/** A real API server asks the webhook of a controller whether objects are valid, and whether they widen egress. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { entryOf } from '../../src/control/admission/testing.ts';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { ApiServer, needsApiServer } from './api-server.ts';

const skip = needsApiServer();

const NAMESPACES = `
apiVersion: v1
kind: Namespace
metadata: { name: istio-system }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { sallyport.dev/egress-guard: enabled } }
---
apiVersion: v1
kind: Namespace
metadata: { name: free }
`;
const pod = (name: string, ip: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec: { containers: [{ name: app, image: x }, { name: istio-proxy, image: x }] }
status: { podIP: ${ip}, podIPs: [{ ip: ${ip} }], phase: Running, conditions: [{ type: Ready, status: "True" }] }
---`;
/** The Service of the control plane has no address of its own: the API server asks this machine. */
const OBJECTS = `
apiVersion: v1
kind: Service
metadata: { name: istiod, namespace: istio-system }
spec: { type: ExternalName, externalName: localhost }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }
---${pod('web', '10.0.0.1')}${pod('db', '10.0.0.2')}
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { selector: { app: db }, ports: [{ name: tcp, port: 5432 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: db-1, namespace: shop, labels: { kubernetes.io/service-name: db } }
addressType: IPv4
ports: [{ name: tcp, port: 5432, protocol: TCP }]
endpoints: [{ addresses: [10.0.0.2], conditions: { ready: true }, targetRef: { kind: Pod, name: db, namespace: shop } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: shop }
spec: { selector: { matchLabels: { app: db } }, action: DENY, rules: [{ from: [{ source: { notNamespaces: [nobody] } }] }] }
`;
const CONFIGS = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const entries = (namespace: string) => `/apis/networking.istio.io/v1/namespaces/${namespace}/serviceentries`;
const RULES = '/apis/networking.istio.io/v1/namespaces/shop/destinationrules';
const ROUTES = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices';
const POLICIES = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';

/** Its CRD takes it. */
const ROUTE = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'all', namespace: 'shop' },
  spec: { hosts: ['db'], http: [{ name: 'nowhere' }] },
};

let server: ApiServer;
let controller: Program | undefined;

before(
  async () => {
    if (skip) return;
    server = await ApiServer.start([{ name: 'erin', groups: ['system:masters', 'egress-owners'] }]);
    await server.apply(NAMESPACES);
    await server.apply(OBJECTS);
    const port = await freePort();
    const own = ['--ca', join(server.folder, 'mesh-ca'), '--xds', String(await freePort()), '--status-address', '0'];
    const hooks = ['--webhook', `127.0.0.1:${port}`, '--validation-config', 'sallyport'];
    const guard = ['--guard-egress', 'labelled', '--allow-widening-by', 'egress-owners'];
    controller = new Program(
      ['controller', '--kube', '--kubeconfig', server.kubeconfig(), ...own, ...hooks, ...guard],
      [process.execPath, PROGRAM],
    );
    await controller.says(/: ready/);
    const rules = [
      {
        operations: ['CREATE', 'UPDATE', 'DELETE'],
        apiGroups: ['networking.istio.io', 'security.istio.io'],
        apiVersions: ['*'],
        resources: ['*'],
      },
    ];
    const how = { rules, sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Fail' };
    const hook = (name: string, timeoutSeconds: number) => {
      const service = { name: 'istiod', namespace: 'istio-system', path: `/${name}`, port };
      return { name: `${name}.sallyport.dev`, clientConfig: { service }, ...how, timeoutSeconds };
    };
    await server.must('POST', CONFIGS, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'sallyport' },
      webhooks: [hook('validate', 10), hook('guard', 30)],
    });
    // The controller writes by which certificate it is known.
    await server.until(`${CONFIGS}/sallyport`, ({ webhooks }) =>
      webhooks.every(({ clientConfig }: { clientConfig: { caBundle?: string } }) => clientConfig.caBundle),
    );
    // What asks the webhook has that a moment later.
    const isAsked = async () => /it is not valid/.test((await server.ask('POST', `${ROUTES}?dryRun=All`, ROUTE)).body.message);
    for (let tries = 0; tries < 200 && !(await isAsked()); tries += 1);
  },
  { timeout: 240_000 },
);
after(async () => {
  await controller?.end();
  await server?.stop();
});

test('what is not valid is refused with the field and what mends it; what analysis finds is a warning', {
  skip,
  timeout: 120_000,
}, async () => {
  const rule = (spec: object) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'rule', namespace: 'shop' },
    spec,
  });
  const refused = await server.ask('POST', ROUTES, ROUTE);
  assert.equal(refused.status, 400);
  assert.match(
    refused.body.message,
    /admission webhook "(?:validate|guard)\.sallyport\.dev" denied the request: it is not valid: spec\.http\[0\]/,
  );
  await controller?.says(/VirtualService shop\/all is refused: it is not valid/);
  const warned = await server.ask('POST', RULES, rule({ host: 'dbb.shop.svc.cluster.local' }));
  assert.equal(warned.status, 201, JSON.stringify(warned.body));
  assert.match(warned.warning, /^299 - "[A-Z]+\d+ .*dbb/);
});

test('what widens egress is refused, but for whom it is allowed', { skip, timeout: 120_000 }, async () => {
  const refused = await server.ask('POST', entries('shop'), entryOf('www'));
  assert.equal(refused.status, 403);
  assert.match(
    refused.body.message,
    /"guard\.sallyport\.dev" denied the request: it would widen egress: .*shop\/(?:db|web).*www\.example\.com:443/,
  );
  // From another namespace it is the same to them.
  assert.equal((await server.ask('POST', entries('free'), entryOf('www', 'free'))).status, 403);
  const apart = { ...entryOf('www', 'free'), spec: { ...entryOf('www').spec, exportTo: ['.'] } };
  assert.equal((await server.ask('POST', entries('free'), apart)).status, 201);
  const allowed = await server.ask('POST', entries('shop'), entryOf('www'), 'erin');
  assert.equal(allowed.status, 201, JSON.stringify(allowed.body));
  assert.match(allowed.warning, /widens egress: .*www\.example\.com:443/);
});

test('a DENY policy that is deleted widens, alone and with all others', { skip, timeout: 120_000 }, async () => {
  const refused = await server.ask('DELETE', `${POLICIES}/closed`);
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /it would widen egress: .*shop\/web/);
  assert.equal((await server.ask('DELETE', POLICIES)).status, 403);
  await server.must('GET', `${POLICIES}/closed`);
});

test('while nobody answers nothing is changed', { skip, timeout: 120_000 }, async () => {
  await controller?.end();
  assert.equal((await server.ask('DELETE', `${POLICIES}/closed`)).status, 500);
});
