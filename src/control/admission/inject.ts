/** The webhook's answer about a pod, by the function that `sallyport inject` has. */
import type { Resource } from '../../api/resource.ts';
import { injectPod } from '../../kube/injection/inject.ts';
import { jsonPatch } from '../../kube/injection/json-patch.ts';
import { ownerOf } from '../../kube/injection/owner.ts';
import type { InjectionOptions } from '../../kube/injection/settings.ts';
import { isPod } from '../../kube/injection/workloads.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { AdmissionAnswer, AdmissionRequest } from './review.ts';

const PATH = '/inject';

/** What the path of a request says beyond the webhook: `/inject/net/NETWORK/cluster/CLUSTER`, as Istio's. */
export interface InjectPath {
  readonly cluster?: string;
  readonly network?: string;
}

/** Undefined for a path that is none of the webhook's. */
export function injectPath(path: string): InjectPath | undefined {
  if (path !== PATH && !path.startsWith(`${PATH}/`)) return undefined;
  const steps = path.slice(PATH.length + 1).replace(/\/$/, '');
  if (steps === '') return {};
  const parts = steps.split('/');
  const said: { cluster?: string; network?: string } = {};
  for (let index = 0; index < parts.length; index += 2) {
    const [name, value] = [parts[index], parts[index + 1]];
    if (!value) return undefined;
    // A slash in a name cannot stand in a path.
    const text = value.replaceAll('--slash--', '/');
    if (name === 'cluster') said.cluster = text;
    else if (name === 'net') said.network = text;
    else return undefined;
  }
  return said;
}

/**
 * A pod that cannot be injected is refused, not let in without its proxy.
 * @param namespaceOf as far as it is known here; the API server has chosen by its labels already
 */
export function injectAnswer(
  request: AdmissionRequest,
  options: InjectionOptions,
  namespaceOf: (name: string) => Resource | undefined,
): AdmissionAnswer {
  const { kind, operation, subResource, namespace, object } = request;
  if (kind !== 'Pod' || operation !== 'CREATE' || subResource !== '') return {};
  if (!isPod(object)) return { refusal: 'it cannot be injected: spec.containers has to list containers with names' };
  try {
    const injection = injectPod(object, ownerOf(object, namespace), namespaceOf(namespace), options);
    if (injection.kind === 'left') return {};
    return { patch: jsonPatch(object, injection.pod), warnings: injection.warnings };
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return { refusal: `it cannot be injected: ${error.message}` };
  }
}
