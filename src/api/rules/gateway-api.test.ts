import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../documents.ts';

const messages = (kind: string, spec: object): string[] =>
  decodeDocuments(
    JSON.stringify({ apiVersion: 'gateway.networking.k8s.io/v1', kind, metadata: { name: 'x' }, spec }),
    'x.json',
  ).findings.map(({ message }) => message);

const one = (kind: string, spec: object, wanted: RegExp) => {
  const found = messages(kind, spec);
  assert.equal(found.length, 1, found.join('\n'));
  assert.match(found[0]!, wanted);
};

const gateway = (...listeners: object[]) => ({ gatewayClassName: 'istio', listeners });
const http = { name: 'http', port: 80, protocol: 'HTTP' };
const passthrough = { name: 'tls', port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } };

test('both kinds of Gateway are read, told apart by their group', () => {
  const text = ['networking.istio.io/v1', 'gateway.networking.k8s.io/v1', 'example.com/v1']
    .map((apiVersion) =>
      JSON.stringify({
        apiVersion,
        kind: 'Gateway',
        metadata: { name: 'g' },
        spec: apiVersion.startsWith('gateway')
          ? gateway(http)
          : { servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] },
      }),
    )
    .join('\n---\n');
  const { resources, findings } = decodeDocuments(text, 'x.yaml');
  assert.deepEqual(
    resources.map(({ kind }) => kind),
    ['Gateway', 'KubernetesGateway'],
  );
  assert.match(findings[0]!.message, /did you mean networking\.istio\.io\/v1 or gateway\.networking\.k8s\.io\/v1\?/);
});

test('KubernetesGateway is no kind of a document', () => {
  const { resources, findings } = decodeDocuments(
    JSON.stringify({ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'KubernetesGateway', metadata: { name: 'g' }, spec: gateway(http) }),
    'x.json',
  );
  assert.equal(resources.length, 0);
  assert.equal(findings[0]!.code, 'SP0006');
});

test('a Gateway’s listeners', () => {
  assert.deepEqual(messages('Gateway', gateway(http, passthrough)), []);
  one('Gateway', gateway(http, { ...http, port: 81 }), /listeners\.?\[?1\]?\.name: "http" names another/);
  one('Gateway', gateway(http, { ...http, name: 'b' }), /another listener has this port/);
  one('Gateway', gateway({ ...http, tls: { mode: 'Passthrough' } }), /takes no tls/);
  one('Gateway', gateway({ ...http, protocol: 'TCP', hostname: 'a.example.com' }), /takes no hostname/);
  one('Gateway', gateway({ ...passthrough, protocol: 'HTTPS' }), /terminates TLS/);
  one('Gateway', gateway({ name: 'tls', port: 443, protocol: 'TLS' }), /needs tls with a mode/);
  one('Gateway', gateway({ name: 'https', port: 443, protocol: 'HTTPS', tls: {} }), /needs certificateRefs/);
});

const rule = (more: object) => ({ parentRefs: [{ name: 'g' }], rules: [more] });
const backend = { name: 'b', port: 80 };

test('rules of HTTPRoutes', () => {
  assert.deepEqual(messages('HTTPRoute', rule({ backendRefs: [backend] })), []);
  one('HTTPRoute', rule({ backendRefs: [{ name: 'b' }] }), /a Service needs a port/);
  one('HTTPRoute', rule({ filters: [{ type: 'URLRewrite' }] }), /needs urlRewrite/);
  one('HTTPRoute', rule({ filters: [{ type: 'URLRewrite', urlRewrite: {}, cors: {} }] }), /does not belong/);
  one(
    'HTTPRoute',
    rule({
      filters: [
        { type: 'CORS', cors: {} },
        { type: 'CORS', cors: {} },
      ],
    }),
    /must not be repeated/,
  );
  const redirect = { type: 'RequestRedirect', requestRedirect: { scheme: 'https' } };
  one('HTTPRoute', rule({ filters: [redirect, { type: 'URLRewrite', urlRewrite: {} }] }), /exclude each other/);
  one('HTTPRoute', rule({ filters: [redirect], backendRefs: [backend] }), /answers by itself/);
  one('HTTPRoute', rule({ filters: [{ type: 'RequestRedirect', requestRedirect: { statusCode: 305 } }] }), /301, 302/);
  one('HTTPRoute', rule({ matches: [{ path: { value: 'x' } }], backendRefs: [backend] }), /must begin with \//);
  one('HTTPRoute', rule({ matches: [{ path: { value: '/a//b' } }] }), /must not hold/);
  one('HTTPRoute', rule({ matches: [{ path: { value: '/a/..' } }] }), /dot segment/);
  one('HTTPRoute', rule({ matches: [{ path: { value: '/ä' } }] }), /characters that no path has/);
  one('HTTPRoute', rule({ timeouts: { request: '1s', backendRequest: '2s' } }), /must not be longer/);
  const rewrite = (path: object) => ({ type: 'URLRewrite', urlRewrite: { path } });
  one('HTTPRoute', rule({ filters: [rewrite({ type: 'ReplaceFullPath' })] }), /needs replaceFullPath/);
  one(
    'HTTPRoute',
    rule({ filters: [rewrite({ type: 'ReplaceFullPath', replaceFullPath: '/a', replacePrefixMatch: '/b' })] }),
    /does not belong to the type/,
  );
  one(
    'HTTPRoute',
    rule({
      matches: [{ path: { type: 'Exact', value: '/a' } }],
      filters: [rewrite({ type: 'ReplacePrefixMatch', replacePrefixMatch: '/b' })],
    }),
    /exactly one match/,
  );
  const modifier = (more: object) => ({ type: 'RequestHeaderModifier', requestHeaderModifier: more });
  const header = (name: string) => ({ name, value: '1' });
  one('HTTPRoute', rule({ filters: [modifier({ set: [header('a'), header('A')] })] }), /stands twice/);
  one('HTTPRoute', rule({ filters: [modifier({ remove: ['a', 'a'] })] }), /names a header twice/);
  const mirror = (more: object) => ({ type: 'RequestMirror', requestMirror: { backendRef: backend, ...more } });
  one('HTTPRoute', rule({ filters: [mirror({ fraction: { numerator: 3, denominator: 2 } })] }), /denominator/);
});

test('parents of routes', () => {
  const spec = (...parentRefs: object[]) => ({ parentRefs, rules: [{ backendRefs: [backend] }] });
  assert.deepEqual(messages('TCPRoute', spec({ name: 'g', sectionName: 'a' }, { name: 'g', sectionName: 'b' })), []);
  one('TCPRoute', spec({ name: 'g' }, { name: 'g' }), /referred to already/);
  one('TCPRoute', spec({ name: 'g' }, { name: 'g', sectionName: 'b' }), /referred to already/);
  one('TLSRoute', { hostnames: ['a.example.com'], rules: [{ backendRefs: [{ name: 'b' }] }] }, /needs a port/);
});

test('methods of GRPCRoutes', () => {
  const match = (method: object) => ({ rules: [{ matches: [{ method }], backendRefs: [backend] }] });
  assert.deepEqual(messages('GRPCRoute', match({ service: 'a.B', method: 'C' })), []);
  one('GRPCRoute', match({}), /needs a service or a method/);
  one('GRPCRoute', match({ service: 'a/b' }), /no name of a service/);
  one('GRPCRoute', match({ method: 'a b' }), /no name of a method/);
});

test('CAs and names of BackendTLSPolicies', () => {
  const spec = (validation: object) => ({
    targetRefs: [{ group: '', kind: 'Service', name: 's' }],
    validation: { hostname: 'a.example.com', ...validation },
  });
  assert.deepEqual(messages('BackendTLSPolicy', spec({ wellKnownCACertificates: 'System' })), []);
  one('BackendTLSPolicy', spec({}), /needs either/);
  one('BackendTLSPolicy', spec({ wellKnownCACertificates: 'System', subjectAltNames: [{ type: 'URI', hostname: 'a' }] }), /the one field/);
});

test('a Gateway’s addresses, a GatewayClass’s controller, the targets of a BackendTLSPolicy', () => {
  const addresses = (...list: object[]) => ({ ...gateway(http), addresses: list });
  const service = { type: 'Hostname', value: 'a.b.svc.cluster.local' };
  assert.deepEqual(messages('Gateway', addresses(service, { value: '10.0.0.1' }, { type: 'example.com/pool', value: 'x' })), []);
  one('Gateway', addresses(service, service), /addresses\[1\]\.value: "a\.b\.svc\.cluster\.local" stands twice/);
  one('Gateway', addresses({ value: 'istio.default' }), /addresses\[0\]\.value: "istio\.default" is no IP address; is its type Hostname\?/);
  one('Gateway', addresses({ type: 'Host', value: 'x' }), /addresses\[0\]\.type: "Host" is no type/);
  one('Gateway', addresses({ type: 'Hostname', value: 'a b' }), /addresses\[0\]\.value: "a b" is no host name/);
  assert.deepEqual(messages('GatewayClass', { controllerName: 'istio.io/gateway-controller' }), []);
  one('GatewayClass', { controllerName: 'istio' }, /controllerName: "istio" does not have the form/);
  const policy = (...sections: (string | undefined)[]) => ({
    targetRefs: sections.map((sectionName) => ({ group: '', kind: 'Service', name: 's', ...(sectionName && { sectionName }) })),
    validation: { hostname: 'a.example.com', wellKnownCACertificates: 'System' },
  });
  assert.deepEqual(messages('BackendTLSPolicy', policy('a', 'b')), []);
  one('BackendTLSPolicy', policy('a', undefined), /targetRefs\[1\]: needs a sectionName/);
  assert.match(messages('BackendTLSPolicy', policy('a', 'a')).join(), /sectionName: "a" of Service s stands twice/);
});
