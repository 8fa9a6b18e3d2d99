/** What an injected proxy finds in its file system, at the places where Istio's has it. */
import type { Fields, Named } from './pod.ts';

export const ROOT_CERT_FOLDER = '/var/run/secrets/istio';
export const TOKEN_FOLDER = '/var/run/secrets/tokens';

const field = (path: string) => ({ path, fieldRef: { fieldPath: `metadata.${path}` } });
const memory = (name: string): Named => ({ name, emptyDir: { medium: 'Memory' } });

/** @param audience of the token: whom it is for */
export function proxyVolumes(audience: string): Named[] {
  return [
    { name: 'workload-socket', emptyDir: {} },
    { name: 'credential-socket', emptyDir: {} },
    { name: 'workload-certs', emptyDir: {} },
    // Envoy's bootstrap and the sockets between it and the agent.
    memory('istio-envoy'),
    memory('istio-data'),
    memory('istio-tmp'),
    { name: 'istio-podinfo', downwardAPI: { items: [field('labels'), field('annotations')] } },
    {
      name: 'istio-token',
      projected: { sources: [{ serviceAccountToken: { path: 'istio-token', expirationSeconds: 43_200, audience } }] },
    },
    { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
  ];
}

export const PROXY_MOUNTS: readonly Fields[] = [
  { name: 'workload-socket', mountPath: '/var/run/secrets/workload-spiffe-uds' },
  { name: 'credential-socket', mountPath: '/var/run/secrets/credential-uds' },
  { name: 'workload-certs', mountPath: '/var/run/secrets/workload-spiffe-credentials' },
  { name: 'istiod-ca-cert', mountPath: ROOT_CERT_FOLDER },
  { name: 'istio-data', mountPath: '/var/lib/istio/data' },
  // The agent's and Node's: the root file system is read-only.
  { name: 'istio-tmp', mountPath: '/tmp' },
  { name: 'istio-envoy', mountPath: '/etc/istio/proxy' },
  { name: 'istio-token', mountPath: TOKEN_FOLDER },
  { name: 'istio-podinfo', mountPath: '/etc/istio/pod' },
];
