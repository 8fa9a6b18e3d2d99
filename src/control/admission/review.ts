/** AdmissionReview (admission.k8s.io/v1): what the API server asks before it keeps an object, and the answer. */
import { isMapping } from '../../api/decode.ts';
import type { Operation } from '../../kube/injection/json-patch.ts';
import { SallyportError } from '../../lib/errors.ts';

const API_VERSION = 'admission.k8s.io/v1';

export interface AdmissionRequest {
  readonly uid: string;
  /** Of the core group, empty, else `GROUP/`. */
  readonly kind: string;
  readonly operation: string;
  readonly subResource: string;
  readonly namespace: string;
  readonly name: string;
  /** As it is to be; null where it is to be gone. */
  readonly object: unknown;
  /** As it was; null where it was not. */
  readonly oldObject: unknown;
  readonly user: AdmissionUser;
}

/** Who asked the API server. */
export interface AdmissionUser {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface AdmissionAnswer {
  /** Why the object is refused; undefined if it is not. */
  readonly refusal?: string;
  /** The object is right as it is written, but this user may not have it so: 403 rather than 400. */
  readonly forbidden?: boolean;
  readonly patch?: readonly Operation[];
  readonly warnings?: readonly string[];
}

/** Throws `admission-invalid`. */
export function admissionRequest(text: string): AdmissionRequest {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch (cause) {
    throw invalid('the body is no JSON', cause);
  }
  if (!isMapping(review) || review.kind !== 'AdmissionReview' || review.apiVersion !== API_VERSION)
    throw invalid(`the body is no AdmissionReview of ${API_VERSION}: name v1 in the webhook's admissionReviewVersions`);
  const { request } = review;
  if (!isMapping(request) || typeof request.uid !== 'string' || !isMapping(request.kind)) throw invalid('request has no uid or no kind');
  const { group, kind } = request.kind;
  return {
    uid: request.uid,
    kind: `${group ? `${String(group)}/` : ''}${String(kind)}`,
    operation: textOf(request.operation),
    subResource: textOf(request.subResource),
    namespace: textOf(request.namespace),
    name: textOf(request.name),
    object: request.object,
    oldObject: request.oldObject,
    user: userOf(request.userInfo),
  };
}

function userOf(info: unknown): AdmissionUser {
  if (!isMapping(info)) return { name: '', groups: [] };
  const groups = Array.isArray(info.groups) ? info.groups.filter((group) => typeof group === 'string') : [];
  return { name: textOf(info.username), groups };
}

/** Warnings of more than 256 characters may be cut, and all together of more than 4096 dropped (Kubernetes' API reference). */
export function admissionResponse(uid: string, { refusal, forbidden = false, patch = [], warnings = [] }: AdmissionAnswer): object {
  const why = forbidden ? { reason: 'Forbidden', code: 403 } : { reason: 'BadRequest', code: 400 };
  const patched = patch.length > 0 ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') } : {};
  const response = {
    uid,
    allowed: refusal === undefined,
    ...(refusal === undefined ? patched : { status: { status: 'Failure', ...why, message: refusal } }),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
  return { apiVersion: API_VERSION, kind: 'AdmissionReview', response };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function invalid(reason: string, cause?: unknown): SallyportError {
  return new SallyportError('admission-invalid', reason, { cause });
}
