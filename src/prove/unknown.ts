/** What simulation does not know about a mesh of files. As long as there is any, nothing is proved. */

import { type DecodingCode, isBroken } from '../api/codes.ts';
import type { ResourceOf } from '../api/index.ts';
import { withoutSidecar } from '../api/injection.ts';
import { resourceText } from '../api/resource.ts';
import { ambientWish, UNREAD_KINDS } from '../api/unserved.ts';
import { refusedHosts, refusedServerNames } from '../api/webhook.ts';
import { formatPosition } from '../lib/finding.ts';
import { once } from '../lib/once.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { patchesProxy } from '../translate/patches/patch.ts';
import { readPatch } from '../xds/patches/read.ts';
import { callersOf } from './callers.ts';
import { captureOf, writtenIn } from './capture.ts';
import { type SimulatedFiles, workloadName } from './simulated.ts';

/** What is not known, a sentence each. `past` are the workloads whose calls past a sidecar count. */
export function unknownTo(files: SimulatedFiles, past: readonly PastSidecar[] = pastSidecars(files)): string[] {
  return [...unreadableIn(files), ...unsimulatedIn(files, past)];
}

/** What is not valid or could not be read, a sentence each. @param isMeant which kinds count */
export function unreadableIn(files: SimulatedFiles, isMeant: (kind: string) => boolean = () => true): string[] {
  const broken = files.mesh.snapshot.findings
    .filter((finding) => isBroken(finding) && finding.code !== UNREAD && isMeant(finding.origin.kind))
    .map(
      ({ origin, position }) =>
        `${originText(origin)}${position ? ` (${formatPosition(position)})` : ''} is not valid: what it would do is not known`,
    );
  return [...new Set(broken), ...unreadIn(files, isMeant)];
}

const UNREAD: DecodingCode = 'SP0016';

/** What of a cluster could not be read, a sentence each. */
export function unreadIn({ mesh: { snapshot } }: SimulatedFiles, isMeant: (kind: string) => boolean = () => true): string[] {
  return snapshot.findings.flatMap(({ code, level, origin, message }) =>
    code === UNREAD && level === 'Error' && isMeant(origin.kind) ? [`${originText(origin)}: ${message}`] : [],
  );
}

/** What is valid and not simulated, a sentence each. */
export function unsimulatedIn(files: SimulatedFiles, past: readonly PastSidecar[] = pastSidecars(files)): string[] {
  const { mesh } = files;
  const { snapshot, config } = mesh;
  const judged = once(() => [...new Set([...files.proxies, ...callersOf(files)])]);
  const patches = snapshot
    .list('EnvoyFilter')
    .filter((filter) => judged().some((proxy) => patchesProxy({ proxy, mesh }, filter)))
    .flatMap(unsimulatedPatches);
  const revisions = snapshot.all().flatMap(({ kind, metadata }) => {
    const revision = IN_MESH.has(kind) ? metadata.labels['istio.io/rev'] : undefined;
    return revision === undefined ? [] : [`${kind} ${metadata.namespace}/${metadata.name} is in force for revision ${revision} only`];
  });
  const ambient = snapshot.all().flatMap((resource) => {
    const wish = ambientWish(resource);
    return wish === undefined ? [] : [`${resourceText(resource)} ${wish}: ambient mode is not simulated`];
  });
  const unread = snapshot.findings.flatMap(({ code, origin }) => {
    const effect = code === 'SP0006' ? UNREAD_KINDS.get(origin.kind) : undefined;
    return effect === undefined ? [] : [`${originText(origin)} ${effect}, and is not read`];
  });
  const refused = [
    ...snapshot.list('ServiceEntry').filter((entry) => refusedHosts(entry).length > 0),
    ...snapshot.list('VirtualService').filter((virtualService) => refusedServerNames(virtualService).length > 0),
  ].map((resource) => `${resourceText(resource)} is refused by a cluster's webhook and in force where none is asked: analyze says why`);
  const selected =
    config.discoverySelectors.length > 0 ? ['discoverySelectors of the MeshConfig leave namespaces out: which ones is not known'] : [];
  return [...patches, ...revisions, ...ambient, ...unread, ...refused, ...selected, ...past.map(({ sentence }) => sentence)];
}

function unsimulatedPatches({ metadata, spec }: ResourceOf<'EnvoyFilter'>): string[] {
  const name = `EnvoyFilter ${metadata.namespace}/${metadata.name}`;
  return spec.configPatches.flatMap((patch, index) => {
    const reading = readPatch(patch);
    if (reading.kind !== 'applied')
      return reading.kind === 'elsewhere' ? [] : [`${name}: configPatches[${index}] is not applied: ${reading.why}`];
    const { foreign, unsimulated } = reading.value;
    const what = [...foreign, ...unsimulated];
    return what.length === 0 ? [] : [`${name} changes proxies in ways that are not simulated: ${what.join(', ')}`];
  });
}

/** A workload some of whose calls no sidecar takes. */
interface PastSidecar {
  readonly workload: ProxyIdentity;
  readonly sentence: string;
}

/** The workloads that have no sidecar, and those some of whose traffic goes past it, as they or the mesh's settings say. */
export function pastSidecars(files: SimulatedFiles): PastSidecar[] {
  const { mesh, bare } = files;
  const namespaces = new Map(mesh.snapshot.list('Namespace').map((each) => [each.metadata.name, each]));
  const written = writtenIn(mesh.snapshot);
  const called = (workload: ProxyIdentity) => `${written.get(workloadName(workload))?.kind ?? 'workload'} ${workloadName(workload)}`;
  return [
    ...bare.map(({ identity, why }) => ({
      workload: identity,
      sentence: `Pod ${workloadName(identity)} has no sidecar (it ${why}): NetworkPolicies alone hold it`,
    })),
    ...callersOf(files).flatMap((workload) => {
      const found = written.get(workloadName(workload));
      const namespace = namespaces.get(workload.namespace);
      const why = found?.kind === 'Deployment' ? withoutSidecar({ ...found, pod: found.spec, namespace }) : undefined;
      if (why !== undefined)
        return [{ workload, sentence: `${called(workload)} has no sidecar (it ${why}): NetworkPolicies alone hold its pods` }];
      const { past } = captureOf(found, mesh.config);
      if (past.length === 0) return [];
      const reasons = past.join(', ');
      return [
        {
          workload,
          sentence: `${called(workload)} sends some of its traffic past its sidecar (${reasons}), where NetworkPolicies alone count`,
        },
      ];
    }),
  ];
}

/** The kinds that a control plane of another revision ignores. */
const IN_MESH: ReadonlySet<string> = new Set([
  'Gateway',
  'ServiceEntry',
  'VirtualService',
  'DestinationRule',
  'Sidecar',
  'WorkloadEntry',
  'EnvoyFilter',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
]);
