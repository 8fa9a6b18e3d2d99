/** Workloads whose calls come to the same are looked at once: cost follows the number of distinct configurations. */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { buildOutbound } from '../translate/lookup.ts';
import type { Mesh } from '../translate/model.ts';
import { holdsFor, type Read, recording } from '../translate/reading.ts';
import { encodeSet } from '../xds/update.ts';
import { namespacesNamed } from './accounts.ts';
import { Mentions } from './mentions.ts';

interface Class {
  readonly first: ProxyIdentity;
  /** What its outbound configuration was seen to depend on. */
  readonly reads: readonly Read[];
  /** Of what came of it. */
  readonly version: string;
  readonly members: ProxyIdentity[];
}

/**
 * Groups identities by what translation reads of them for the calls that they make. Where it reads a namespace or a label's value, and nothing
 * that it reads of the mesh mentions either of two, it finds both equal to nothing: they are alike.
 */
export function workloadClasses(mesh: Mesh, identities: readonly ProxyIdentity[]): ProxyIdentity[][] {
  return classesByReads(mesh, identities).map(({ members }) => members);
}

function classesByReads(mesh: Mesh, identities: readonly ProxyIdentity[]): Class[] {
  const mentions = new Mentions(mesh);
  const accountOf = accounts(mesh);
  const classes: Class[] = [];
  for (const identity of identities) {
    const known = classes.find(
      ({ first, reads }) =>
        accountOf(first) === accountOf(identity) &&
        reads.every((read) => holdsFor(read, identity, mesh) || isAlike(read, first, identity, mentions)),
    );
    if (known) {
      known.members.push(identity);
      continue;
    }
    const watched = recording(identity, mentions.mesh);
    const built = buildOutbound(watched.proxy, watched.mesh);
    classes.push({ first: identity, reads: watched.reads(), version: encodeSet(built).version, members: [identity] });
  }
  return classes;
}

/** Who callers are, where policies tell them apart; else all are one. */
function accounts({ snapshot }: Mesh): (identity: ProxyIdentity) => string {
  if (snapshot.list('AuthorizationPolicy').length === 0) return () => '';
  return ({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`;
}

/**
 * The same, but what was read may differ and come to the same, as a Sidecar of its own does in each of many namespaces. Such identities are in one class, but for namespaces
 * that simulation itself asks about: for the short names of their Services, and for their Secrets.
 */
export function callerClasses(mesh: Mesh, identities: readonly ProxyIdentity[]): ProxyIdentity[][] {
  const { registry, snapshot } = mesh;
  const classes = classesByReads(mesh, identities);
  const asked = new Set([
    ...registry.services.filter((service) => service.registry === 'Kubernetes').map(({ namespace }) => namespace),
    ...[...snapshot.list('Secret'), ...snapshot.list('ConfigMap')].map(({ metadata }) => metadata.namespace),
  ]);
  const accountOf = accounts(mesh);
  const groups = Map.groupBy(classes, ({ first, version }) =>
    [version, asked.has(first.namespace) ? first.namespace : '', accountOf(first)].join(' '),
  );
  return [...groups.values()].map((group) => group.flatMap(({ members }) => members));
}

function isAlike(read: Read, a: ProxyIdentity, b: ProxyIdentity, mentions: Mentions): boolean {
  if (read.of === 'field' && read.name === 'namespace') return !mentions.has(a.namespace) && !mentions.has(b.namespace);
  if (read.of !== 'label') return false;
  // Where a value names the label itself, as failover by labels does, its value is compared with those of other workloads.
  const values = [read.name, a.labels[read.name], b.labels[read.name]];
  return values.every((value) => value === undefined || !mentions.has(value));
}

/** The labels by which objects choose the workloads whose calls they concern. */
export function selectorsOf({ snapshot }: Mesh): Readonly<Record<string, string>>[] {
  const all: (Readonly<Record<string, string>> | undefined)[] = [
    ...snapshot.list('Sidecar').map(({ spec }) => spec.workloadSelector?.labels),
    ...snapshot.list('DestinationRule').map(({ spec }) => spec.workloadSelector?.matchLabels),
    ...snapshot.list('EnvoyFilter').map(({ spec }) => spec.workloadSelector?.labels),
  ];
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp]) for (const match of rule.match) all.push(match.sourceLabels);
  }
  return all.filter((labels) => labels !== undefined);
}

/** Kinds of which no sidecar's outbound configuration depends on the namespace alone. */
const ELSEWHERE = new Set([
  'Pod',
  'Namespace',
  'Node',
  'Deployment',
  'ServiceAccount',
  'ConfigMap',
  'NetworkPolicy',
  'EndpointSlice',
  'Endpoints',
]);

/** Namespaces that have resources of their own, or that a resource names: workloads of all others see the same. */
export function namespacesThatCount({ snapshot, config }: Mesh): Set<string> {
  const found = new Set<string>(namespacesNamed({ snapshot }));
  const name = (list: readonly string[] | undefined) => {
    for (const entry of list ?? []) found.add(entry);
  };
  for (const { kind, metadata } of snapshot.all()) if (!ELSEWHERE.has(kind)) found.add(metadata.namespace);
  for (const kind of ['ServiceEntry', 'VirtualService', 'DestinationRule'] as const) {
    for (const { spec } of snapshot.list(kind)) name(spec.exportTo);
  }
  for (const { metadata } of snapshot.list('Service'))
    name(metadata.annotations['networking.istio.io/exportTo']?.split(',').map((one) => one.trim()));
  for (const { spec } of snapshot.list('VirtualService')) {
    for (const rule of [...spec.http, ...spec.tls, ...spec.tcp])
      for (const match of rule.match) if (match.sourceNamespace) found.add(match.sourceNamespace);
  }
  name(config.defaultServiceExportTo);
  name(config.defaultVirtualServiceExportTo);
  name(config.defaultDestinationRuleExportTo);
  return found;
}
