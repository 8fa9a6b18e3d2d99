import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { upstreamRefusal } from './clusters-refusal.ts';

interface Asked {
  readonly proxyType?: 'sidecar' | 'router';
  readonly protocol?: string;
  /** Further fields of the rule, as text. */
  readonly rule?: string;
  /** Further fields of the ServiceEntry, as text. */
  readonly entry?: string;
  readonly withoutIdentities?: boolean;
  readonly bound?: boolean;
}

/** The reason for which calls are refused by a DestinationRule with these TLS settings, if they are, after its level. */
function refusal(tls: string, asked: Asked = {}): string | undefined {
  const { proxyType = 'sidecar', protocol = 'HTTP', rule = '', entry = '', withoutIdentities = false, bound = false } = asked;
  const { registry, snapshot } = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: s, namespace: default }
spec: { hosts: [www.example.com], resolution: DNS, ports: [{ number: 80, name: p, protocol: ${protocol} }]${entry} }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: r, namespace: default }
spec: { host: www.example.com, trafficPolicy: { tls: ${tls} }${rule} }`);
  const [service] = registry.services;
  const [found] = snapshot.list('DestinationRule');
  const policy = { tls: found!.spec.trafficPolicy?.tls } as Parameters<typeof upstreamRefusal>[4];
  const refused = upstreamRefusal(proxyType, service!, service!.ports[0]!, found, policy, withoutIdentities, bound);
  if (refused === undefined) return undefined;
  assert.equal(refused.origin, found);
  assert.ok(refused.reason.startsWith('www.example.com:80: '));
  return `${refused.level} ${refused.reason.slice('www.example.com:80: '.length)}`;
}

test('mutual TLS of the mesh needs identities, where there are none', () => {
  assert.equal(refusal('{ mode: ISTIO_MUTUAL }'), undefined);
  assert.match(refusal('{ mode: ISTIO_MUTUAL }', { withoutIdentities: true }) ?? '', /^Error tls\.mode ISTIO_MUTUAL needs identities/);
  for (const mode of ['SIMPLE', 'DISABLE']) assert.equal(refusal(`{ mode: ${mode} }`, { withoutIdentities: true }), undefined, mode);
});

test('mutual TLS of its own has a certificate and a key, or a Secret', () => {
  assert.equal(refusal('{ mode: MUTUAL, clientCertificate: /c, privateKey: /k }'), undefined);
  assert.equal(refusal('{ mode: MUTUAL, credentialName: c }', { proxyType: 'router' }), undefined);
});

test('a Secret holds at gateways, and at sidecars by a rule for them alone, or where the client speaks TLS itself', () => {
  for (const mode of ['SIMPLE', 'MUTUAL']) {
    const tls = `{ mode: ${mode}, credentialName: c }`;
    assert.match(refusal(tls) ?? '', /^Warning tls\.credentialName holds at gateways/, mode);
    assert.equal(refusal(tls, { proxyType: 'router' }), undefined);
    assert.equal(refusal(tls, { rule: ', workloadSelector: { matchLabels: { app: a } }' }), undefined);
    assert.equal(refusal(tls, { protocol: 'TLS' }), undefined);
  }
});

test('TLS to a host that is bound passes only with its own certificate', () => {
  const of = (tls: string, asked: Asked = {}) =>
    refusal(`{ mode: SIMPLE${tls} }`, { bound: true, ...asked })?.replace(/^Error .*and (?:the rule's )?/, '');
  assert.equal(of(''), undefined, 'requests bring the name that is verified');
  assert.equal(of(', subjectAltNames: [www.example.com]', { protocol: 'TCP' }), undefined);
  assert.equal(of(', sni: www.example.com, subjectAltNames: [WWW.example.com]'), undefined);
  assert.match(of(', insecureSkipVerify: true') ?? '', /^tls does not verify/);
  assert.match(of(', subjectAltNames: [www.example.com, api.example.com]') ?? '', /^a certificate for api\.example\.com would be taken/);
  assert.match(of('', { entry: ', subjectAltNames: [api.example.com]' }) ?? '', /^a certificate for api\.example\.com would be taken/);
  assert.equal(of(', subjectAltNames: [www.example.com]', { entry: ', subjectAltNames: [api.example.com]' }), undefined);
  assert.match(of(', sni: api.example.com, subjectAltNames: [www.example.com]') ?? '', /^SNI is api\.example\.com/);
  assert.match(of(', sni: www.example.com') ?? '', /^tls verifies no name/);
  assert.match(of('', { protocol: 'TCP' }) ?? '', /^tls verifies no name/);
  assert.equal(refusal('{ mode: SIMPLE, insecureSkipVerify: true }'), undefined, 'of a host that is not bound');
  assert.equal(refusal('{ mode: DISABLE, insecureSkipVerify: true }', { bound: true }), undefined);
});
