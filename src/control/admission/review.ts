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
  readonly object: unknown;
}

export interface AdmissionAnswer {
  /** Why the object is refused; undefined if it is not. */
  readonly refusal?: string;
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
    object: request.object,
  };
}

/** Warnings of more than 256 characters may be cut, and all together of more than 4096 dropped (Kubernetes' API reference). */
export function admissionResponse(uid: string, { refusal, patch = [], warnings = [] }: AdmissionAnswer): object {
  const patched = patch.length > 0 ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') } : {};
  const response = {
    uid,
    allowed: refusal === undefined,
    ...(refusal === undefined ? patched : { status: { status: 'Failure', reason: 'BadRequest', code: 400, message: refusal } }),
    ...(warnings.length > 0 ? { warnings } : {}),
  };
  return { apiVersion: API_VERSION, kind: 'AdmissionReview', response };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function invalid(reason: string, cause?: unknown): SallyportError {
  return new SallyportError('admission-invalid', reason, { cause });
}
