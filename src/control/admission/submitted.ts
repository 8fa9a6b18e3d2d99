/** The object of an AdmissionReview, and the cluster's objects as they would be with it. */
import { isMapping } from '../../api/decode.ts';
import { type Decoded, decodeParsed } from '../../api/documents.ts';
import { ClusterObjects, type KindNames } from '../../config/kubernetes/cluster-objects.ts';
import { ObjectSource } from '../../config/kubernetes/object-source.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { type Origin, originText } from '../../lib/origin.ts';
import { type AdmissionRequest, invalid } from './review.ts';

/** Groups whose objects are refused where they are not valid: those of Istio's webhook, and our own. */
const ISTIO_GROUPS: ReadonlySet<string> = new Set([
  'networking.istio.io',
  'security.istio.io',
  'telemetry.istio.io',
  'extensions.istio.io',
  'sallyport.dev',
]);
/** What is wrong with these their CRDs refuse, or their statuses say. */
const GATEWAY_GROUPS: ReadonlySet<string> = new Set(['gateway.networking.k8s.io', 'gateway.networking.x-k8s.io']);

const WRITES: ReadonlySet<string> = new Set(['CREATE', 'UPDATE', 'DELETE']);

export interface Submitted {
  readonly names: KindNames;
  readonly origin: Origin;
  /** Whether it is of Istio's API. */
  readonly isIstio: boolean;
  /** As it was; undefined where it was not. */
  readonly before: Record<string, unknown> | undefined;
  /** Undefined where it is to be gone. */
  readonly object: Record<string, unknown> | undefined;
}

/**
 * Undefined for operations and subresources that write no object.
 * @throws SallyportError `admission-invalid` for other kinds than those of the mesh: whoever registered the webhook is to hear of it, and `failurePolicy` decides
 */
export function submittedIn(request: AdmissionRequest): Submitted | undefined {
  const { operation, subResource, namespace } = request;
  const [group = '', kind = ''] = request.kind.includes('/') ? request.kind.split('/') : ['', request.kind];
  const isIstio = ISTIO_GROUPS.has(group);
  if (!isIstio && !GATEWAY_GROUPS.has(group))
    throw invalid(
      `${kind} of ${group === '' ? 'the core group' : group} is none of this webhook's kinds: name the groups of Istio and of the Gateway API alone in its rules`,
    );
  if (!WRITES.has(operation) || subResource !== '') return undefined;
  const objectOf = (field: 'object' | 'oldObject') => {
    const said = request[field];
    if (!isMapping(said)) throw invalid(`request has no ${field}`);
    const { apiVersion, metadata } = said;
    if (said.kind !== kind || typeof apiVersion !== 'string' || apiVersion.split('/')[0] !== group)
      throw invalid(`request is about a ${kind} of ${group}, and its ${field} is another`);
    if (!isMapping(metadata)) throw invalid(`${field} has no metadata`);
    return { ...said, apiVersion, metadata };
  };
  const after = operation === 'DELETE' ? undefined : objectOf('object');
  const before = operation === 'CREATE' ? undefined : objectOf('oldObject');
  const one = (after ?? before)!;
  // One that is made by generateName may have no name yet.
  const name = [one.metadata.name, request.name, one.metadata.generateName].find((each) => typeof each === 'string' && each !== '');
  const origin = { kind, namespace, name: (name as string | undefined) ?? '' };
  const called = (object: typeof one) => ({ ...object, metadata: { ...object.metadata, name: origin.name, namespace } });
  return {
    names: { kind, apiVersion: one.apiVersion },
    origin,
    isIstio,
    before: before && called(before),
    object: after && called(after),
  };
}

/** What decoding it alone says. */
export function decodedOf({ object, origin }: Submitted): Decoded {
  return decodeParsed(object, new ObjectSource(originText(origin)));
}

/** The objects of the cluster with this one as it is to be. */
export function withSubmitted(live: Snapshot, submitted: Submitted): Snapshot {
  return withObject(live, submitted, submitted.object);
}

/** The same as it was: what is followed of the cluster may be a moment older than what the API server has. */
export function beforeSubmitted(live: Snapshot, submitted: Submitted): Snapshot {
  return withObject(live, submitted, submitted.before);
}

function withObject(live: Snapshot, { names, origin }: Submitted, object: Record<string, unknown> | undefined): Snapshot {
  const objects = ClusterObjects.of(live);
  if (object) objects.put(object, names);
  else objects.delete(names, origin.namespace, origin.name);
  return objects.snapshot();
}
