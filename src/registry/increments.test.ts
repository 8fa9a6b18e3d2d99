import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { originOfRule } from '../api/derived-rule.ts';
import { decodeDocuments } from '../api/documents.ts';
import { KINDS, type Kind, type ResourceOf } from '../api/index.ts';
import { type Resource, resourceText } from '../api/resource.ts';
import { localMesh, RouterAddresses } from '../config/local-mesh.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';
import { sameContent } from '../lib/same.ts';
import { type BuiltRegistry, buildRegistry } from './index.ts';
import type { Registry } from './model.ts';

const object = (apiVersion: string, kind: string, name: string, rest: string, metadata = '') =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${name}${metadata}}\n${rest}\n`;
const istio = (kind: string, name: string, spec: string, metadata = '') =>
  object('networking.istio.io/v1', kind, name, `spec: ${spec}`, metadata);
const gatewayApi = (kind: string, name: string, spec: string) =>
  object('gateway.networking.k8s.io/v1', kind, name, `spec: ${spec}`, ', namespace: default');

const oneOf = (...choices: string[]) => fc.constantFrom(...choices);
const name = oneOf('a', 'b', 'c');
const metadata = oneOf(
  '',
  ', namespace: other',
  ', labels: {team: one}',
  ', creationTimestamp: "2026-03-01T00:00:00Z"',
  ', creationTimestamp: "2026-01-01T00:00:00Z"',
);

const serviceEntry = fc
  .tuple(
    name,
    metadata,
    oneOf('a.example.com', 'b.example.com, a.example.com', "'*.example.com'", 'web.default.svc.cluster.local'),
    oneOf('DNS', 'STATIC', 'NONE', 'DNS_ROUND_ROBIN'),
    oneOf(
      '[{number: 80, name: http, protocol: HTTP}]',
      '[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]',
    ),
    oneOf(
      '',
      ', exportTo: [.]',
      ', endpoints: [{address: 10.0.0.9}]',
      ', workloadSelector: {labels: {app: web}}',
      ', addresses: [10.9.9.9]',
    ),
  )
  .map(([name, metadata, hosts, resolution, ports, extra]) =>
    istio('ServiceEntry', name, `{hosts: [${hosts}], resolution: ${resolution}, ports: ${ports}${extra}}`, metadata),
  );
const service = fc
  .tuple(
    oneOf('web', 'db'),
    oneOf('', ', annotations: {networking.istio.io/exportTo: "."}'),
    oneOf('', 'clusterIP: None, ', 'clusterIP: 10.96.0.1, ', 'type: ExternalName, externalName: a.example.com, '),
    oneOf('web', 'db'),
  )
  .map(([name, metadata, ip, app]) =>
    object(
      'v1',
      'Service',
      name,
      `spec: {${ip}selector: {app: ${app}}, ports: [{name: http, port: 80, targetPort: http}, {name: tcp, port: 81}]}`,
      metadata,
    ),
  );
const pod = fc
  .tuple(oneOf('p', 'q'), oneOf('web', 'db'), oneOf('10.0.0.1', '10.0.0.2'), oneOf('True', 'False'), oneOf('', ', nodeName: n'))
  .map(([name, app, ip, ready, node]) =>
    object(
      'v1',
      'Pod',
      name,
      `spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]${node}}\nstatus: {phase: Running, podIP: ${ip}, conditions: [{type: Ready, status: "${ready}"}]}`,
      `, labels: {app: ${app}}`,
    ),
  );
const others = fc.oneof(
  oneOf('one', 'two').map((zone) => object('v1', 'Node', 'n', '', `, labels: {topology.kubernetes.io/region: ${zone}}`)),
  oneOf('10.0.0.1', '10.0.0.3').map((ip) =>
    object(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      'web-1',
      `addressType: IPv4\nendpoints: [{addresses: [${ip}], nodeName: n}]\nports: [{name: http, port: 8080}]`,
      ', labels: {kubernetes.io/service-name: web}',
    ),
  ),
  oneOf('10.0.0.1', '10.0.0.4').map((ip) =>
    object('v1', 'Endpoints', 'db', `subsets: [{addresses: [{ip: ${ip}}], ports: [{name: tcp, port: 81}]}]`),
  ),
  oneOf('10.0.0.5', '10.0.0.6').map((ip) => istio('WorkloadEntry', 'vm', `{address: ${ip}, labels: {app: web}}`)),
  fc
    .tuple(name, oneOf('80', '81'))
    .map(([name, port]) =>
      istio(
        'VirtualService',
        name,
        `{hosts: [a.example.com], http: [{route: [{destination: {host: a.example.com, port: {number: ${port}}}}]}]}`,
      ),
    ),
  fc.tuple(name, oneOf('a', 'b')).map(([name, host]) => istio('DestinationRule', name, `{host: ${host}.example.com}`)),
  oneOf('./*', '*/*').map((hosts) => istio('Sidecar', 's', `{egress: [{hosts: ['${hosts}']}]}`)),
  oneOf('80', '81').map((port) =>
    istio(
      'Gateway',
      'g',
      `{selector: {istio: egressgateway}, servers: [{port: {number: ${port}, name: p, protocol: HTTP}, hosts: ['*']}]}`,
    ),
  ),
  oneOf('80', '8080').map((port) =>
    gatewayApi('Gateway', 'eg', `{gatewayClassName: istio, listeners: [{name: http, port: ${port}, protocol: HTTP}]}`),
  ),
  fc
    .tuple(name, oneOf('web', 'db', 'gone'))
    .map(([name, backend]) =>
      gatewayApi(
        'HTTPRoute',
        name,
        `{parentRefs: [{name: eg}], hostnames: [a.example.com], rules: [{backendRefs: [{name: ${backend}, port: 80}]}]}`,
      ),
    ),
  oneOf('db', 'web').map((target) =>
    gatewayApi(
      'BackendTLSPolicy',
      'tls',
      `{targetRefs: [{group: '', kind: Service, name: ${target}}], validation: {hostname: x.example.com, wellKnownCACertificates: System}}`,
    ),
  ),
);
const broken = oneOf(
  istio('ServiceEntry', 'a', '{hosts: 7}'),
  istio('VirtualService', 'b', '{nonsense: 1}'),
  'a: [',
  object('v1', 'Service', 'web', 'spec: {ports: 7}'),
);
const document = fc.oneof(
  { weight: 3, arbitrary: serviceEntry },
  { weight: 2, arbitrary: service },
  { weight: 2, arbitrary: pod },
  { weight: 4, arbitrary: others },
  broken,
);

type Step =
  | { readonly kind: 'write'; readonly file: string; readonly documents: readonly string[] }
  | { readonly kind: 'insert' | 'replace' | 'remove'; readonly file: string; readonly at: number; readonly document: string }
  | { readonly kind: 'delete' | 'restore' | 'shift'; readonly file: string }
  | { readonly kind: 'reorder' };

const file = oneOf('1.yaml', '2.yaml', '3.yaml');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), file, documents: fc.array(document, { maxLength: 5 }) }),
  fc.record({ kind: fc.constantFrom('insert' as const, 'replace' as const, 'remove' as const), file, at: fc.nat(5), document }),
  fc.record({ kind: fc.constantFrom('delete' as const, 'restore' as const, 'shift' as const), file }),
  fc.constant({ kind: 'reorder' as const }),
);

/** The files, as they are and as they were before the last change of each. */
class Files {
  readonly now = new Map<string, readonly string[]>();
  readonly former = new Map<string, readonly string[]>();
  order: readonly string[] = ['1.yaml', '2.yaml', '3.yaml'];

  take(step: Step): void {
    if (step.kind === 'reorder') {
      this.order = [...this.order.slice(1), this.order[0]!];
      return;
    }
    const before = this.now.get(step.file) ?? [];
    const after = this.#after(step, before);
    this.former.set(step.file, before);
    if (after) this.now.set(step.file, after);
    else this.now.delete(step.file);
  }

  #after(step: Exclude<Step, { kind: 'reorder' }>, before: readonly string[]): readonly string[] | undefined {
    switch (step.kind) {
      case 'write':
        return step.documents;
      case 'insert':
        return before.toSpliced(step.at, 0, step.document);
      case 'replace':
        return before.toSpliced(step.at, 1, step.document);
      case 'remove':
        return before.toSpliced(step.at, 1);
      case 'restore':
        return this.former.get(step.file);
      case 'shift':
        return before.map((text) => `# moved\n${text}`);
      case 'delete':
        return undefined;
    }
  }
}

/** What does not depend on how numbers of ages were given. */
function plain(resource: Resource): unknown {
  const { order: _, source, derivedFrom, spec, ...rest } = resource;
  const { http = [] } = spec as Partial<ResourceOf<'VirtualService'>['spec']>;
  return {
    ...rest,
    spec: JSON.stringify(spec),
    origins: http.map((rule) => resourceText(originOfRule(rule, resource))),
    at: source.position(['spec']),
    ...(derivedFrom && { derivedFrom: plain(derivedFrom) }),
  };
}

function snapshotText(snapshot: Snapshot): unknown {
  return {
    findings: snapshot.findings.map((finding) => ({ ...finding })),
    all: snapshot.all().map(plain),
    lists: (Object.keys(KINDS) as Kind[]).map((kind) => snapshot.list(kind).map(plain)),
  };
}

function registryText({ registry, findings }: BuiltRegistry): unknown {
  const service = ({ resource, order: _, ...rest }: Registry['services'][number]) => ({ ...rest, resource: plain(resource) });
  return {
    findings: findings.map((finding) => ({ ...finding })),
    services: registry.services.map(service),
    endpoints: registry.services.map((each) => each.ports.map((port) => registry.endpoints(each, port))),
    workloads: registry.workloads.map(({ resource, ...rest }) => ({ ...rest, resource: plain(resource) })),
    visible: ['default', 'other', 'third'].map((namespace) => registry.visibleTo(namespace).map(service)),
    found: registry.services.map(({ hostname }) => {
      const found = registry.lookup(hostname, 'default');
      return found && service(found);
    }),
    served: registry.workloads.map((workload) =>
      registry.servicesOf(workload).map(({ service: { hostname }, ...rest }) => ({ hostname, ...rest })),
    ),
  };
}

function assertGrowing(list: readonly Resource[]): void {
  for (let i = 1; i < list.length; i++) assert.ok(list[i - 1]!.order <= list[i]!.order);
}

/** Every object that says what one of the same name said before is that one; lists without changes are the same lists. */
function assertShared(before: Snapshot, after: Snapshot): void {
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const [old, now] = [before.list(kind), after.list(kind)];
    for (const resource of now) {
      const former = before.get(kind, resource.metadata.namespace, resource.metadata.name);
      const unmoved =
        former?.order === resource.order && former.source.file === resource.source.file && former.derivedFrom === resource.derivedFrom;
      if (
        former &&
        unmoved &&
        sameContent(former.metadata, resource.metadata) &&
        sameContent(former.spec, resource.spec) &&
        sameContent(former.status, resource.status)
      )
        assert.equal(resource, former);
    }
    if (old.length === now.length && old.every((resource, index) => resource === now[index])) assert.equal(now, old);
  }
}

function assertSharedRegistry(before: Registry, after: Registry): void {
  const former = new Set(before.services);
  const resources = new Map(
    before.services.map((service) => [`${service.resource.kind} ${service.hostname} ${service.namespace}`, service]),
  );
  for (const service of after.services) {
    const old = resources.get(`${service.resource.kind} ${service.hostname} ${service.namespace}`);
    if (old && old.resource === service.resource && sameContent({ ...old, exportTo: 0 }, { ...service, exportTo: 0 }))
      assert.ok(former.has(service));
    if (!former.has(service)) continue;
    for (const port of service.ports) {
      const [one, other] = [before.endpoints(service, port), after.endpoints(service, port)];
      if (sameContent(one, other)) assert.equal(other, one);
    }
  }
}

test('after any changes, snapshot and registry are those of a fresh start, and share what did not change', () => {
  const mesh = meshConfigOf({});
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), fc.boolean(), (steps, local) => {
      const files = new Files();
      const store = new Store();
      const addresses = new RouterAddresses();
      let last: { snapshot: Snapshot; built: BuiltRegistry } | undefined;
      let written: Snapshot | undefined;
      for (const step of steps) {
        files.take(step);
        if (step.kind !== 'reorder') {
          const text = files.now.get(step.file)?.join('---\n');
          if (text === undefined) store.delete(step.file);
          else store.set(step.file, decodeDocuments(text, step.file));
        }
        const base = store.snapshot(files.order);
        if (written) assertShared(written, base);
        assertGrowing(base.list('Service'));
        written = base;
        const snapshot = local ? localMesh(base, 'istio-system', addresses).snapshot : base;
        const built = buildRegistry(snapshot, mesh, last?.built);
        if (last) {
          assertShared(last.snapshot, snapshot);
          assertSharedRegistry(last.built.registry, built.registry);
        }
        last = { snapshot, built };
        const rebuilt = buildRegistry(snapshot, mesh);
        assert.deepEqual(registryText(built), registryText(rebuilt));
        // What a fresh start makes of broken or emptied files is another thing: it does not know what was in force.
        if (base.findings.some(({ code, level }) => level === 'Error' || code === 'SP0010')) continue;
        const fresh = new Store();
        for (const name of files.order) {
          const text = files.now.get(name)?.join('---\n');
          if (text !== undefined) fresh.set(name, decodeDocuments(text, name));
        }
        const anew = fresh.snapshot();
        assert.deepEqual(snapshotText(base), snapshotText(anew));
        if (!local) assert.deepEqual(registryText(built), registryText(buildRegistry(anew, mesh)));
      }
    }),
    { numRuns: 150, seed: 6 },
  );
});
