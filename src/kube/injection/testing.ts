/** Pods and options for tests of injection. */
import { defaultMeshConfig } from '../../api/mesh-config-document.ts';
import type { Container, Owner, WrittenPod } from './pod.ts';
import type { InjectionOptions } from './settings.ts';

export const OPTIONS: InjectionOptions = {
  mesh: defaultMeshConfig(),
  image: 'proxy:1',
  imagePullPolicy: undefined,
  engine: 'envoy',
  revision: '',
  cluster: 'Kubernetes',
  network: '',
  native: true,
  cni: false,
};

export const OWNER: Owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' };

export const APP: Container = { name: 'app', image: 'web:1' };

export function pod(
  annotations: Record<string, string> = {},
  spec: object = {},
  labels: Record<string, string> = { app: 'web' },
): WrittenPod {
  return { metadata: { labels, annotations }, spec: { containers: [APP], ...spec } };
}
