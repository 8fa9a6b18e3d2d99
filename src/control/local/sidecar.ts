import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { LocalMeshOptions } from './options.ts';

/** This machine's workload: its labels are said, its only address is the loopback. Throws `usage`. */
export function sidecarIdentity({ namespace, workload, proxyAddress, engine }: LocalMeshOptions): ProxyIdentity {
  if (namespace === '') throw new SallyportError('usage', '--namespace must not be empty.');
  return {
    type: 'sidecar',
    name: workload.app || 'local',
    namespace,
    labels: workload,
    serviceAccount: 'default',
    addresses: [],
    locality: '',
    bindAddress: '127.0.0.1',
    ...(engine === 'embedded' && { countsBy: engine }),
    ...(proxyAddress.port > 0 && engine === 'embedded' && { explicitProxy: proxyAddress }),
  };
}
