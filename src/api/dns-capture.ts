/** Which clients ask the mesh for names: those whose questions are led to their proxy. By itself the injection of a sidecar leads none there. */
import type { Pod } from './index.ts';
import { proxyContainer } from './injection.ts';

/** Istio's name, in `proxyMetadata` and in the environment of a proxy. */
export const DNS_CAPTURE = 'ISTIO_META_DNS_CAPTURE';
const INTERCEPTION_MODE = 'ISTIO_META_INTERCEPTION_MODE';

/** A switch of a proxy's metadata. */
export function isOn(value: string | undefined): boolean {
  return ['true', '1', 't'].includes(value?.toLowerCase() ?? '');
}

/** Whether a pod of a cluster has its DNS captured: its proxy was told when it was injected, and what was said since holds for pods to come. */
export function capturesDns(pod: Pod): boolean {
  const valueOf = (name: string) => proxyContainer(pod)?.env.findLast((each) => each.name === name)?.value;
  return isOn(valueOf(DNS_CAPTURE)) && valueOf(INTERCEPTION_MODE) !== 'NONE';
}
