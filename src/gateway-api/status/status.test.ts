import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '../../api/condition.ts';
import { newAuthorityFiles } from '../../ca/authority.ts';
import { snapshotFromText } from '../../config/memory.ts';
import type { Infrastructure, WantedStatus } from './index.ts';
import { gatewayApiStatuses } from './index.ts';

type Json = Record<string, unknown>;
const API = 'gateway.networking.k8s.io/v1';
const CONTROLLER = 'sallyport.dev/gateway-controller';

const object = (kind: string, name: string, spec: Json, more: Json = {}, apiVersion = API) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default', generation: 3, ...more },
  spec,
});
const CLASS = object('GatewayClass', 'sallyport', { controllerName: CONTROLLER });
const HTTP = { name: 'http', port: 80, protocol: 'HTTP' };
const gateway = (listeners: Json[] = [HTTP], more: Json = {}) =>
  object('Gateway', 'web', { gatewayClassName: 'sallyport', listeners, ...more });
const route = (spec: Json, kind = 'HTTPRoute', more: Json = {}) => object(kind, 'r', { parentRefs: [{ name: 'web' }], ...spec }, more);
const SERVICE = object('Service', 'echo', { ports: [{ name: 'http', port: 80 }] }, {}, 'v1');
const { 'root-cert.pem': CERTIFICATE, 'ca-key.pem': KEY } = newAuthorityFiles('example', Date.now());
const held = (kind: string, name: string, namespace = 'default') => ({ apiVersion: 'v1', kind, metadata: { name, namespace } });
const SERVER = { ...held('Secret', 'web'), stringData: { 'tls.crt': CERTIFICATE, 'tls.key': KEY.revealText() } };
const READY: Infrastructure = { addresses: [{ type: 'IPAddress', value: '10.0.0.1' }] };

function statuses(objects: readonly Json[], infrastructure = READY, problem?: string): WantedStatus[] {
  const snapshot = snapshotFromText(objects.map((each) => JSON.stringify(each)).join('\n---\n'));
  return gatewayApiStatuses(snapshot, { controller: CONTROLLER, infrastructure: () => infrastructure, classProblem: () => problem });
}

type Said = Partial<Record<'Accepted' | 'Conflicted' | 'Programmed' | 'ResolvedRefs', string>>;
const said = (conditions: readonly Condition[] = []): Said =>
  Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

const statusOf = (kind: string, all: readonly WantedStatus[]) => all.find((each) => each.kind === kind)!.status;

test('a class of ours is accepted; of others nothing is said', () => {
  const [own] = statuses([CLASS, object('GatewayClass', 'other', { controllerName: 'example.com/other' })]);
  assert.deepEqual([own!.name, said(own!.status.conditions)], ['sallyport', { Accepted: 'True Accepted' }]);
  assert.equal(own!.status.conditions![0]!.observedGeneration, 3);
  const [refused] = statuses([CLASS], READY, 'there is no such ConfigMap');
  assert.deepEqual(said(refused!.status.conditions), { Accepted: 'False InvalidParameters' });
});

test('a Gateway: addresses, and whether traffic gets to a proxy', () => {
  const well = statusOf('Gateway', statuses([CLASS, gateway()]));
  assert.deepEqual(well.addresses, READY.addresses);
  assert.deepEqual(said(well.conditions), { Accepted: 'True Accepted', Programmed: 'True Programmed' });
  const pending = { addresses: [], problem: { reason: 'AddressNotAssigned', message: 'none yet' } };
  const waiting = statusOf('Gateway', statuses([CLASS, gateway()], pending));
  assert.deepEqual(said(waiting.conditions), { Accepted: 'True Accepted', Programmed: 'False AddressNotAssigned' });
  assert.equal(said(waiting.listeners![0]!.conditions).Programmed, 'False Pending');
  const refused = { addresses: [], problem: { reason: 'InvalidParameters', message: 'there are none' } };
  const invalid = statusOf('Gateway', statuses([CLASS, gateway()], refused));
  assert.deepEqual(said(invalid.conditions), { Accepted: 'False InvalidParameters', Programmed: 'False Invalid' });
  const elsewhere = gateway([HTTP], { addresses: [{ type: 'example.com/named', value: 'x' }] });
  assert.equal(said(statusOf('Gateway', statuses([CLASS, elsewhere])).conditions).Accepted, 'False UnsupportedAddress');
  const others = gateway([HTTP], { gatewayClassName: 'istio' });
  assert.deepEqual(
    statuses([CLASS, others]).map(({ kind }) => kind),
    ['GatewayClass'],
  );
});

test('listeners: what is wrong with each', () => {
  const listener = (more: Json) => {
    const { conditions, listeners } = statusOf(
      'Gateway',
      statuses([CLASS, gateway([{ name: 'l', port: 443, protocol: 'HTTPS', ...more }])]),
    );
    return {
      of: said(conditions),
      ...said(listeners![0]!.conditions),
      kinds: listeners![0]!.supportedKinds.map(({ kind }) => kind).join(),
    };
  };
  const unknown = listener({ protocol: 'UDP' });
  assert.deepEqual(
    [unknown.Accepted, unknown.Programmed, unknown.kinds, unknown.of.Accepted],
    ['False UnsupportedProtocol', 'False Invalid', '', 'False ListenersNotValid'],
  );
  const absent = listener({ tls: { certificateRefs: [{ name: 'none' }] } });
  assert.deepEqual(
    [absent.ResolvedRefs, absent.Programmed, absent.of.Accepted],
    ['False InvalidCertificateRef', 'False Invalid', 'True ListenersNotValid'],
  );
  const foreign = listener({ tls: { certificateRefs: [{ name: 'c', namespace: 'other' }] } });
  assert.equal(foreign.ResolvedRefs, 'False RefNotPermitted');
  const kinds = listener({ protocol: 'HTTP', allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }, { kind: 'TCPRoute' }] } });
  assert.deepEqual([kinds.ResolvedRefs, kinds.Programmed, kinds.kinds], ['False InvalidRouteKinds', 'True Programmed', 'HTTPRoute']);
  assert.equal(listener({ protocol: 'HTTP', allowedRoutes: { kinds: [{ kind: 'TCPRoute' }] } }).Programmed, 'False Invalid');
});

test('listeners that verify clients: what they are verified by has to be there, and theirs to name', () => {
  const asked = (authority: Json, ...more: Json[]) => {
    const validation = { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'clients', ...authority }] };
    const tls = { frontend: { default: { validation } } };
    const listener = { name: 'l', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'web' }] } };
    const all = statuses([CLASS, gateway([HTTP, listener], { tls }), SERVER, ...more]);
    const [http, https] = statusOf('Gateway', all).listeners!.map(({ conditions }) => said(conditions));
    assert.equal(http!.Accepted, 'True Accepted');
    return [https!.Accepted, https!.ResolvedRefs, https!.Programmed];
  };
  const refused = (reason: string) => ['False NoValidCACertificate', `False ${reason}`, 'False Invalid'];
  const clients = (namespace: string) => ({ ...held('ConfigMap', 'clients', namespace), data: { 'ca.crt': CERTIFICATE } });
  const grant = object(
    'ReferenceGrant',
    'clients',
    { from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'default' }], to: [{ group: '', kind: 'ConfigMap' }] },
    { namespace: 'other' },
    'gateway.networking.k8s.io/v1beta1',
  );
  assert.deepEqual(asked({}), refused('InvalidCACertificateRef'));
  assert.deepEqual(asked({}, held('ConfigMap', 'clients')), refused('InvalidCACertificateRef'));
  assert.deepEqual(asked({ kind: 'Service' }), refused('InvalidCACertificateKind'));
  assert.deepEqual(asked({ namespace: 'other' }, clients('other')), refused('RefNotPermitted'));
  const served = ['True Accepted', 'True ResolvedRefs', 'True Programmed'];
  assert.deepEqual(asked({}, clients('default')), served);
  assert.deepEqual(asked({ namespace: 'other' }, clients('other'), grant), served);
});

test('ListenerSets: taken or not, and each of their listeners', () => {
  const set = (listeners: Json[]) => object('ListenerSet', 'own', { parentRef: { name: 'web' }, listeners });
  const taking = gateway([HTTP], { allowedListeners: { namespaces: { from: 'Same' } } });
  const attached = route({ parentRefs: [{ kind: 'ListenerSet', name: 'own' }], rules: [{ backendRefs: [{ name: 'echo', port: 80 }] }] });
  const all = statuses([
    CLASS,
    taking,
    set([
      { ...HTTP, hostname: 'a.example.com' },
      { ...HTTP, name: 'like' },
    ]),
    SERVICE,
    attached,
  ]);
  assert.equal(statusOf('Gateway', all).attachedListenerSets, 1);
  const { conditions, listeners } = statusOf('ListenerSet', all);
  assert.deepEqual(said(conditions), { Accepted: 'True ListenersNotValid', Programmed: 'True Programmed' });
  assert.deepEqual(
    listeners!.map((each) => [each.attachedRoutes, said(each.conditions).Conflicted, said(each.conditions).Programmed]),
    [
      [1, 'False NoConflicts', 'True Programmed'],
      [1, 'True HostnameConflict', 'False HostnameConflict'],
    ],
  );
  assert.deepEqual(said(statusOf('HTTPRoute', all).parents![0]!.conditions), {
    Accepted: 'True Accepted',
    ResolvedRefs: 'True ResolvedRefs',
  });
  // Nothing of it is left that could be served.
  const conflicting = statuses([CLASS, taking, set([{ ...HTTP, name: 'like' }])]);
  assert.equal(statusOf('Gateway', conflicting).attachedListenerSets, 0);
  const none = { Accepted: 'False ListenersNotValid', Programmed: 'False ListenersNotValid' };
  assert.deepEqual(said(statusOf('ListenerSet', conflicting).conditions), none);
  const foreign = { certificateRefs: [{ name: 'c', namespace: 'other' }] };
  const unpermitted = statuses([CLASS, taking, set([{ ...HTTP, name: 'tls', port: 443, protocol: 'HTTPS', tls: foreign }])]);
  assert.deepEqual(said(statusOf('ListenerSet', unpermitted).conditions), none);
  const refused = statuses([CLASS, gateway(), set([HTTP])]);
  assert.deepEqual(said(statusOf('ListenerSet', refused).conditions), { Accepted: 'False NotAllowed', Programmed: 'False NotAllowed' });
});

test('routes: what each parent makes of them, and how many each listener has', () => {
  const backend = (ref: Json) => ({ rules: [{ backendRefs: [{ name: 'echo', port: 80, ...ref }] }] });
  const parent = (spec: Json, kind?: string, more?: Json) => {
    const all = statuses([CLASS, gateway([{ ...HTTP, hostname: '*.example' }]), SERVICE, route(spec, kind, more)]);
    const [first] = statusOf(kind ?? 'HTTPRoute', all).parents!;
    return { ...said(first?.conditions), ref: first?.ref, attached: statusOf('Gateway', all).listeners![0]!.attachedRoutes };
  };
  const well = parent(backend({}));
  assert.deepEqual([well.Accepted, well.ResolvedRefs, well.attached], ['True Accepted', 'True ResolvedRefs', 1]);
  assert.deepEqual(well.ref, { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'web' });
  assert.equal(parent(backend({ name: 'none' })).ResolvedRefs, 'False BackendNotFound');
  assert.equal(parent(backend({ port: 81 })).ResolvedRefs, 'False BackendNotFound');
  assert.equal(parent(backend({ kind: 'Secret' })).ResolvedRefs, 'False InvalidKind');
  assert.equal(parent(backend({ namespace: 'other' })).ResolvedRefs, 'False RefNotPermitted');
  assert.equal(parent(backend({ name: 'none' })).attached, 1);
  const elsewhere = parent({ hostnames: ['a.test'] });
  assert.deepEqual([elsewhere.Accepted, elsewhere.attached], ['False NoMatchingListenerHostname', 0]);
  assert.equal(parent({ parentRefs: [{ name: 'web', sectionName: 'x' }] }).Accepted, 'False NoMatchingParent');
  assert.equal(parent(backend({}), 'TCPRoute').Accepted, 'False NotAllowedByListeners');
  const other = { parentRefs: [{ name: 'web', namespace: 'default' }] };
  assert.equal(parent(other, 'HTTPRoute', { namespace: 'other' }).Accepted, 'False NotAllowedByListeners');
  assert.equal(parent({ parentRefs: [{ name: 'none' }] }).ref, undefined);
});

test('BackendTLSPolicies: for each Gateway that leads to their targets', () => {
  const policy = (name: string, validation: Json) =>
    object('BackendTLSPolicy', name, {
      targetRefs: [{ group: '', kind: 'Service', name: 'echo' }],
      validation: { hostname: 'echo.example', ...validation },
    });
  const all = statuses([
    CLASS,
    gateway(),
    SERVICE,
    route({ rules: [{ backendRefs: [{ name: 'echo', port: 80 }] }] }),
    policy('a', { wellKnownCACertificates: 'System' }),
    policy('b', { wellKnownCACertificates: 'System' }),
    policy('c', { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'none' }] }),
    policy('d', { caCertificateRefs: [{ group: 'x.io', kind: 'K', name: 'none' }] }),
  ]);
  const of = (name: string) => all.find((each) => each.name === name)!.status.ancestors!;
  assert.deepEqual(
    of('a').map(({ ref }) => ref.name),
    ['web'],
  );
  assert.deepEqual(said(of('a')[0]!.conditions), { Accepted: 'True Accepted', ResolvedRefs: 'True ResolvedRefs' });
  assert.equal(said(of('b')[0]!.conditions).Accepted, 'False Conflicted');
  assert.deepEqual(said(of('c')[0]!.conditions), { Accepted: 'False NoValidCACertificate', ResolvedRefs: 'False InvalidCACertificateRef' });
  assert.deepEqual(said(of('d')[0]!.conditions), { Accepted: 'False NoValidCACertificate', ResolvedRefs: 'False InvalidKind' });
});
