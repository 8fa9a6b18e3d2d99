/** What simulation does not know about a mesh of files. As long as there is any, nothing is proved. */

import { type DecodingCode, isBroken } from '../api/codes.ts';
import type { ResourceOf } from '../api/index.ts';
import { resourceText } from '../api/resource.ts';
import { ambientWish, UNREAD_KINDS } from '../api/unserved.ts';
import { refusedHosts, refusedServerNames } from '../api/webhook.ts';
import { formatPosition } from '../lib/finding.ts';
import { matchesLabels } from '../lib/labels.ts';
import { originText } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { readPatch } from '../xds/patches/read.ts';
import { type SimulatedFiles, workloadName } from './simulated.ts';

/** What is not known, a sentence each. `past` are the workloads whose calls past a sidecar count. */
export function unknownTo(files: SimulatedFiles, past: readonly PastSidecar[] = pastSidecars(files)): string[] {
  const broken = files.mesh.snapshot.findings
    .filter((finding) => isBroken(finding) && finding.code !== UNREAD)
    .map(
      ({ origin, position }) =>
        `${originText(origin)}${position ? ` (${formatPosition(position)})` : ''} is not valid: what it would do is not known`,
    );
  return [...new Set(broken), ...unreadIn(files), ...unsimulatedIn(files, past)];
}

const UNREAD: DecodingCode = 'SP0016';

/** What of a cluster could not be read, a sentence each. */
export function unreadIn({ mesh: { snapshot } }: SimulatedFiles): string[] {
  return snapshot.findings.flatMap(({ code, level, origin, message }) =>
    code === UNREAD && level === 'Error' ? [`${originText(origin)}: ${message}`] : [],
  );
}

/** What is valid and not simulated, a sentence each. */
export function unsimulatedIn(files: SimulatedFiles, past: readonly PastSidecar[] = pastSidecars(files)): string[] {
  const {
    mesh: { snapshot, config },
    proxies,
  } = files;
  const patches = snapshot
    .list('EnvoyFilter')
    .filter(({ metadata, spec }) =>
      proxies.some(
        ({ namespace, labels }) =>
          (metadata.namespace === config.rootNamespace || metadata.namespace === namespace) &&
          matchesLabels(spec.workloadSelector?.labels ?? {}, labels),
      ),
    )
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

/** The pods that have no sidecar, and those that say that some of their traffic goes past it. */
export function pastSidecars({ mesh: { snapshot }, proxies, bare }: SimulatedFiles): PastSidecar[] {
  const pods = new Map(snapshot.list('Pod').map((pod) => [workloadName(pod.metadata), pod]));
  return [
    ...bare.map(({ identity, why }) => ({
      workload: identity,
      sentence: `Pod ${workloadName(identity)} has no sidecar (it ${why}): NetworkPolicies alone hold it`,
    })),
    ...proxies.flatMap((workload) => {
      const pod = pods.get(workloadName(workload));
      return pod ? uncaptured(pod).map((sentence) => ({ workload, sentence })) : [];
    }),
  ];
}

/** The kinds that a control plane of another revision ignores. */
const IN_MESH: ReadonlySet<string> = new Set(['Gateway', 'ServiceEntry', 'VirtualService', 'DestinationRule', 'Sidecar', 'WorkloadEntry']);

/** Annotations that keep a part of a Pod's traffic from its sidecar. */
const EXCEPTIONS = ['traffic.sidecar.istio.io/excludeOutboundPorts', 'traffic.sidecar.istio.io/excludeOutboundIPRanges'];
/** Annotations that say what is captured, with the values that mean everything. */
const CAPTURED = [
  ['traffic.sidecar.istio.io/includeOutboundIPRanges', '*'],
  ['sidecar.istio.io/interceptionMode', 'REDIRECT', 'TPROXY'],
] as const;

function uncaptured({ metadata, spec }: ResourceOf<'Pod'>): string[] {
  const said = metadata.annotations;
  const reasons = [
    ...EXCEPTIONS.filter((name) => (said[name] ?? '') !== ''),
    ...CAPTURED.flatMap(([name, ...whole]) => (said[name] === undefined || whole.some((value) => value === said[name]) ? [] : [name])),
  ].map((name) => `${name}: ${said[name]}`);
  if (spec.hostNetwork) reasons.push('hostNetwork');
  return reasons.length > 0
    ? [
        `Pod ${metadata.namespace}/${metadata.name} sends some of its traffic past its sidecar (${reasons.join(', ')}), where NetworkPolicies alone count`,
      ]
    : [];
}
