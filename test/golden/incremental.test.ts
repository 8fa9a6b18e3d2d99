/**
 * Translation keeps results from one moment to the next. Whatever changes in between, what it gives is what it would give anew: for the goldens'
 * objects, which come, go and change at random.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Kind, ResourceOf } from '../../src/api/index.ts';
import type { Snapshot } from '../../src/config/snapshot.ts';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { type BuiltRegistry, buildRegistry } from '../../src/registry/index.ts';
import { translate } from '../../src/translate/index.ts';
import type { Mesh, Translation } from '../../src/translate/model.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, updateBetween } from '../../src/xds/update.ts';
import { meshFromText, proxyOfWorkload } from '../support/mesh.ts';
import { GOLDENS, meshOf } from './cases.ts';

type Resource = ResourceOf<Kind>;

/** The objects in the order in which they stand. */
function snapshotOf(all: readonly Resource[], version: number): Snapshot {
  const lists = Map.groupBy(all, ({ kind }) => kind);
  return {
    version,
    findings: [],
    all: () => all,
    list: <K extends Kind>(kind: K) => (lists.get(kind) ?? []) as unknown as readonly ResourceOf<K>[],
    get: <K extends Kind>(kind: K, namespace: string, name: string) =>
      all.find((each) => each.kind === kind && each.metadata.namespace === namespace && each.metadata.name === name) as
        | ResourceOf<K>
        | undefined,
  };
}

/** A copy that shares nothing with the object but what plain objects and lists do not hold (bytes of secrets, positions). */
function copied<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copied) as T;
  const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return plain ? (Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copied(each)])) as T) : value;
}

/** The object with something in it changed that its kind has to show. */
function changed(resource: Resource, by: number): Resource {
  const { kind } = resource;
  const change = (spec: object) => ({ ...resource, spec: { ...resource.spec, ...spec } }) as Resource;
  const turned = <T>(list: readonly T[]) => (by % 2 ? list.toReversed() : list.slice(1));
  if (kind === 'VirtualService') {
    const { http, tls } = (resource as ResourceOf<'VirtualService'>).spec;
    return change({ http: http.map((rule) => ({ ...rule, timeout: by * 1000 })), tls: turned(tls) });
  }
  if (kind === 'DestinationRule') {
    const { trafficPolicy, subsets } = (resource as ResourceOf<'DestinationRule'>).spec;
    const loadBalancer = { consistentHash: { httpHeaderName: `x-${by}` } };
    const connectionPool = { tcp: { connectTimeout: by * 1000 } };
    return change({ subsets: turned(subsets), trafficPolicy: { portLevelSettings: [], ...trafficPolicy, loadBalancer, connectionPool } });
  }
  if (kind === 'ServiceEntry') {
    const { ports, endpoints } = (resource as ResourceOf<'ServiceEntry'>).spec;
    return change(by % 3 ? { ports: ports.toReversed() } : { endpoints: turned(endpoints) });
  }
  if (kind === 'WorkloadEntry')
    return change({ address: (resource as ResourceOf<'WorkloadEntry'>).spec.address.replace(/\d+$|^/, String(by)) });
  if (kind === 'Gateway') return change({ servers: turned((resource as ResourceOf<'Gateway'>).spec.servers) });
  if (kind === 'Sidecar') return change({ egress: turned((resource as ResourceOf<'Sidecar'>).spec.egress) });
  if (kind === 'EndpointSlice') return change({ endpoints: turned((resource as ResourceOf<'EndpointSlice'>).spec.endpoints) });
  return { ...resource };
}

interface Step {
  /** Which object. */
  readonly at: number;
  readonly does: 'come or go' | 'change' | 'be read again';
  readonly by: number;
}

const STEPS = fc.array(
  fc.record<Step>({
    at: fc.nat(),
    does: fc.constantFrom<Step['does']>('come or go', 'change', 'be read again'),
    by: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 12 },
);

/** Names and versions of resources, and what is reported. */
function content({ findings }: Translation, set: EncodedSet): unknown {
  return {
    version: set.version,
    resources: [...set.resources].map(([key, { version }]) => `${key} ${version}`),
    findings: texts(findings),
  };
}

function texts(findings: Translation['findings']): string[] {
  return findings.map(({ code, origin, message }) => `${code} ${origin.kind} ${origin.namespace}/${origin.name}: ${message}`);
}

for (const golden of GOLDENS) {
  test(`changes of ${golden.name}`, () => {
    const mesh = meshOf(golden);
    checkChanges(
      mesh,
      golden.proxies.map((name) => proxyOfWorkload(name, mesh)),
      25,
    );
  });
}

test('changes of objects that depend on each other', () => {
  const mesh = meshFromText({ 'incremental.yaml': readFileSync(new URL('incremental.yaml', import.meta.url), 'utf8') });
  const client = proxyOfWorkload('client', mesh);
  checkChanges(mesh, [client, { ...client, locality: 'r2/z1', labels: { app: 'other' } }, proxyOfWorkload('gateway', mesh)], 60);
});

function checkChanges(mesh: Mesh, proxies: readonly ProxyIdentity[], numRuns: number): void {
  const original = mesh.snapshot.all().filter(({ valid }) => valid);
  const run = (steps: readonly Step[]) => {
    let objects: readonly (Resource | undefined)[] = original;
    let built: BuiltRegistry | undefined;
    const inForce = new Map<ProxyIdentity, EncodedSet>();
    for (const [number, { at, does, by }] of steps.entries()) {
      const index = at % objects.length;
      objects = objects.with(index, after(does, by, objects[index], original[index]!));
      const present = objects.filter((each) => each !== undefined);
      const snapshot = snapshotOf(present, number);
      built = buildRegistry(snapshot, mesh.config, built);
      for (const proxy of proxies) check(proxy, { snapshot, registry: built.registry, config: mesh.config }, inForce);
    }
  };
  fc.assert(fc.property(STEPS, run), { numRuns, seed: 1 });
}

function after(does: Step['does'], by: number, object: Resource | undefined, original: Resource): Resource | undefined {
  if (does === 'come or go') return object ? undefined : original;
  return object && (does === 'change' ? changed(object, by) : { ...object });
}

function check(proxy: ProxyIdentity, mesh: Mesh, inForce: Map<ProxyIdentity, EncodedSet>): void {
  const translation = translate(proxy, mesh);
  const set = encodeSet(translation.resources);
  const fresh = snapshotOf(copied(mesh.snapshot.all()), 0);
  const anew = translate(proxy, { snapshot: fresh, registry: buildRegistry(fresh, mesh.config).registry, config: mesh.config });
  const expected = encodeSet(anew.resources);
  assert.deepEqual(content(translation, set), content(anew, expected));
  // Whoever applies the differences one after the other has the whole.
  const before = inForce.get(proxy) ?? EMPTY_SET;
  const held = new Map([...before.resources].map(([key, { version }]) => [key, version]));
  const update = updateBetween(before, set);
  for (const { type, name } of update?.removed ?? []) assert.ok(held.delete(`${type}/${name}`));
  for (const { type, name, version } of update?.changed ?? []) held.set(`${type}/${name}`, version);
  assert.deepEqual(new Map([...held].sort()), new Map([...expected.resources].map(([key, { version }]) => [key, version] as const).sort()));
  inForce.set(proxy, set);
}
