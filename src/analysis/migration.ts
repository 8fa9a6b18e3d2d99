/** What of a mesh of Istio's is not served here, object by object, with what becomes of it: for whoever thinks of changing over. Pure. */

import type { DecodingCode } from '../api/codes.ts';
import type { ResourceOf } from '../api/index.ts';
import { IGNORED_ANNOTATIONS } from '../api/injection.ts';
import { resourceText } from '../api/resource.ts';
import { UNREAD_KINDS } from '../api/unserved.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { readPatch } from '../xds/patches/read.ts';
import type { Code } from './messages.ts';

/** `refused`: what it concerns is refused rather than run otherwise. `no effect`: the mesh runs as if it were not there. `not read`: objects of the kind are skipped. */
export type Outcome = 'refused' | 'no effect' | 'not read';

export interface Unserved {
  /** `Kind namespace/name` */
  readonly object: string;
  readonly outcome: Outcome;
  /** A sentence. */
  readonly what: string;
}

/** The findings that say so. */
const BY_CODE: Readonly<Partial<Record<Code | DecodingCode, Outcome>>> = {
  SP0014: 'refused',
  SP1010: 'no effect',
  SP1024: 'refused',
  SP1045: 'no effect',
  SP1049: 'refused',
};

/** Kinds by which Istio is installed. */
const INSTALLS: ReadonlySet<string> = new Set(['IstioOperator', 'Istio', 'IstioRevision', 'IstioRevisionTag', 'IstioCNI', 'ZTunnel']);

const MULTI_CLUSTER = 'istio/multiCluster';
const INTERCEPTION = 'sidecar.istio.io/interceptionMode';

/** @param findings all that analysis reports of the same mesh */
export function unservedIn(snapshot: Snapshot, findings: readonly Finding[]): Unserved[] {
  const all = [
    ...findings.flatMap(ofFinding),
    ...snapshot.list('Pod').flatMap((pod) => ofAnnotations(pod, pod.metadata.annotations)),
    ...snapshot.list('Deployment').flatMap((each) => ofAnnotations(each, each.spec.template?.metadata?.annotations ?? {})),
    ...snapshot.list('EnvoyFilter').flatMap(ofEnvoyFilter),
    ...snapshot.list('Secret').flatMap(ofSecret),
    ...snapshot.list('ConfigMap').flatMap(ofConfigMap),
  ];
  const once = new Map(all.map((each) => [`${each.object} ${each.what}`, each]));
  return [...once.values()].sort((a, b) => ORDER[a.outcome] - ORDER[b.outcome] || (a.object < b.object ? -1 : a.object > b.object ? 1 : 0));
}

const ORDER: Readonly<Record<Outcome, number>> = { refused: 0, 'no effect': 1, 'not read': 2 };

function ofFinding({ code, message, origin }: Finding): Unserved[] {
  const object = originText(origin);
  if (code === 'SP0006') {
    const effect = UNREAD_KINDS.get(origin.kind);
    if (effect !== undefined) return [{ object, outcome: 'not read', what: `It ${effect}: nothing is proved beside it.` }];
    return INSTALLS.has(origin.kind)
      ? [{ object, outcome: 'not read', what: 'It says how Istio is installed: deploy/chart has values of its own.' }]
      : [];
  }
  const outcome = BY_CODE[code as Code | DecodingCode];
  return outcome === undefined ? [] : [{ object, outcome, what: message }];
}

function ofAnnotations(resource: ResourceOf<'Pod' | 'Deployment'>, annotations: Readonly<Record<string, string>>): Unserved[] {
  const object = resourceText(resource);
  const ignored = IGNORED_ANNOTATIONS.filter((name) => annotations[name] !== undefined);
  return [
    ...ignored.map((name): Unserved => ({ object, outcome: 'no effect', what: `The annotation ${name} is not acted on.` })),
    ...(annotations[INTERCEPTION] === 'TPROXY'
      ? [{ object, outcome: 'refused', what: `${INTERCEPTION}: TPROXY: the pod is not injected. Choose REDIRECT.` } as const]
      : []),
  ];
}

function ofEnvoyFilter(filter: ResourceOf<'EnvoyFilter'>): Unserved[] {
  const object = resourceText(filter);
  return filter.spec.configPatches.flatMap((patch, index): Unserved[] => {
    const reading = readPatch(patch);
    if (reading.kind !== 'applied')
      return reading.kind === 'elsewhere' ? [] : [{ object, outcome: 'no effect', what: `configPatches[${index}]: ${reading.why}.` }];
    if (reading.value.foreign.length === 0) return [];
    const what = `configPatches[${index}]: ${reading.value.foreign.join(', ')} runs in Envoy; the embedded data plane refuses what it is put into.`;
    return [{ object, outcome: 'refused', what }];
  });
}

function ofSecret(secret: ResourceOf<'Secret'>): Unserved[] {
  if (secret.metadata.labels[MULTI_CLUSTER] !== 'true') return [];
  const what =
    'It lets Istio into another cluster, whose Services and endpoints are not known here: declare by ServiceEntries what is called there.';
  return [{ object: resourceText(secret), outcome: 'no effect', what }];
}

function ofConfigMap(map: ResourceOf<'ConfigMap'>): Unserved[] {
  const networks = (map.spec as { readonly data?: Readonly<Record<string, string>> }).data?.meshNetworks ?? '';
  if (!/fromRegistry|fromCidr/.test(networks)) return [];
  const what = 'meshNetworks: calls to endpoints of other networks do not go through their gateways.';
  return [{ object: resourceText(map), outcome: 'no effect', what }];
}
