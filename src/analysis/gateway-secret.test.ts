/** Secrets that Gateways name: whether they are there, where gateways read them, and hold what TLS needs. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { decodeDocuments } from '../api/documents.ts';
import { Store } from '../config/store.ts';
import { createAuthority, type KeyPair } from '../demo/certificates.ts';
import type { Finding } from '../lib/finding.ts';
import { findingsIn, TEST_DAY } from './testing.ts';

const DAY_MS = 24 * 3_600_000;
let today: KeyPair;
let lastWeek: KeyPair;
let nextWeek: KeyPair;
before(async () => {
  const at = async (now: number) => (await createAuthority('test', now)).issue(['www.example.com']);
  [today, lastWeek, nextWeek] = await Promise.all([at(TEST_DAY), at(TEST_DAY - 7 * DAY_MS), at(TEST_DAY + 7 * DAY_MS)]);
});

const gateway = (mode = 'SIMPLE', name = 'c') => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [www.example.com], tls: {mode: ${mode}, credentialName: ${name}}}]
---`;

function secret(data: Readonly<Record<string, string>>, namespace = 'istio-system', name = 'c'): string {
  const stringData = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== ''));
  return `
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
stringData: ${JSON.stringify(stringData)}
---`;
}

const ofTls = ({ certificate, key }: KeyPair, more: Readonly<Record<string, string>> = {}) => ({
  'tls.crt': certificate,
  'tls.key': key,
  ...more,
});

/** What is found of the text; `unread` are Secrets of the cluster that may not be read. */
function found(text: string, unread: readonly { readonly namespace: string; readonly name: string }[] = []): string[] {
  const decoded = decodeDocuments(text, 'inline.yaml');
  const findings = unread.map(({ namespace, name }): Finding => {
    return { code: 'SP0016', level: 'Warning', message: 'not read', origin: { kind: 'Secret', namespace, name } };
  });
  const store = new Store();
  store.set('inline.yaml', { ...decoded, findings: [...decoded.findings, ...findings] });
  return findingsIn(store.snapshot())
    .filter(({ code }) => code === 'IST0101' || code === 'IST0161')
    .map(({ code, message }) => `${code} ${message}`);
}

test('a Secret with a certificate of today and its key is right, in either form of keys', () => {
  assert.deepEqual(found(gateway() + secret(ofTls(today))), []);
  assert.deepEqual(found(gateway() + secret({ cert: today.certificate, key: today.key })), []);
  for (const ca of ['ca.crt', 'cacert']) assert.deepEqual(found(gateway('MUTUAL') + secret(ofTls(today, { [ca]: today.certificate }))), []);
});

test('a Secret that is not there is to be made in the namespace of the gateway’s pods', () => {
  const [missing, ...more] = found(gateway());
  assert.match(missing!, /^IST0101 .*"c".* are in istio-system.*kubectl -n istio-system create secret tls c\.$/);
  assert.deepEqual(more, []);
  assert.match(found(gateway() + secret(ofTls(today), 'default')).join(), /Secret default\/c exists, but .*create it in istio-system\.$/);
  assert.match(found(gateway() + secret(ofTls(today), 'istio-system', 'd')).join(), /create secret tls c\.$/);
});

test('of a Secret that may not be read it is not said that it is missing', () => {
  assert.deepEqual(found(gateway(), [{ namespace: 'istio-system', name: 'c' }]), []);
  for (const other of [
    { namespace: 'default', name: 'c' },
    { namespace: 'istio-system', name: 'd' },
  ])
    assert.match(found(gateway(), [other]).join(), /^IST0101/);
});

test('what a Secret lacks is said: a key, a CA for mutual TLS, a certificate that is one and holds today', () => {
  const fault = (text: string) => found(text).join();
  for (const key of ['tls.crt', 'tls.key'])
    assert.match(
      fault(gateway() + secret(ofTls(today, { [key]: '' }))),
      /^IST0161 Secret istio-system\/c lacks the keys tls\.crt and tls\.key/,
    );
  for (const mode of ['MUTUAL', 'OPTIONAL_MUTUAL']) assert.match(fault(gateway(mode) + secret(ofTls(today))), /lacks ca\.crt/, mode);
  assert.match(fault(gateway() + secret({ 'tls.crt': 'nonsense', 'tls.key': 'nonsense' })), /has a tls\.crt that is no PEM certificate/);
  assert.match(fault(gateway() + secret(ofTls(lastWeek))), /has a certificate that expired on 2025-12-26T00:00:00\.000Z/);
  assert.match(fault(gateway() + secret(ofTls(nextWeek))), /has a certificate that is not valid before 2026-01-07T23:00:00\.000Z/);
});
