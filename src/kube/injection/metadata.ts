/** Labels and annotations of an injected pod. */
import type { Annotations } from './annotations.ts';
import type { Owner, WrittenPod } from './pod.ts';
import { STATUS_ANNOTATION } from './settings.ts';

/** Telemetry and routing name a workload by these. */
export function injectedLabels(
  labels: Readonly<Record<string, string>>,
  owner: Owner,
  network: string,
  role: 'sidecar' | 'router',
): Record<string, string> {
  const name = 'service.istio.io/canonical-name';
  const revision = 'service.istio.io/canonical-revision';
  const called = labels[name] ?? labels['app.kubernetes.io/name'] ?? labels.app ?? owner.name;
  return {
    ...labels,
    // Clients speak mutual TLS to a pod that says so; what reaches a gateway is its Gateways' matter.
    ...(role === 'sidecar' ? { 'security.istio.io/tlsMode': labels['security.istio.io/tlsMode'] ?? 'istio' } : {}),
    [name]: called.slice(0, 63).replace(/^[-_.]+|[-_.]+$/g, ''),
    [revision]: labels[revision] ?? labels['app.kubernetes.io/version'] ?? labels.version ?? 'latest',
    ...(network ? { 'topology.istio.io/network': network } : {}),
  };
}

/** Whoever asks for logs or a shell without naming a container means the application's. */
export function injectedAnnotations(annotations: Annotations, application: string | undefined, revision: string): Record<string, string> {
  const container = annotations['kubectl.kubernetes.io/default-container'] ?? application;
  const logs = annotations['kubectl.kubernetes.io/default-logs-container'] ?? application;
  return {
    ...annotations,
    'istio.io/rev': revision || 'default',
    ...(container ? { 'kubectl.kubernetes.io/default-container': container } : {}),
    ...(logs ? { 'kubectl.kubernetes.io/default-logs-container': logs } : {}),
  };
}

/** What was injected, as Istio's tools read it. */
export interface InjectionStatus {
  readonly initContainers: readonly string[] | null;
  readonly containers: readonly string[] | null;
  readonly volumes: readonly string[];
  readonly imagePullSecrets: null;
  readonly revision: string;
}

/** Whether the pod has all the containers that its status says were injected; a status alone injects nothing. */
export function isInjected({ metadata, spec }: WrittenPod): boolean {
  const text = metadata?.annotations?.[STATUS_ANNOTATION];
  if (text === undefined) return false;
  let status: Partial<InjectionStatus>;
  try {
    status = JSON.parse(text) as Partial<InjectionStatus>;
  } catch {
    return false;
  }
  const has = (names: unknown, containers: readonly { readonly name: string }[] = []) =>
    Array.isArray(names) && names.length > 0 ? names.every((name) => containers.some((container) => container.name === name)) : undefined;
  const found = [has(status?.containers, spec.containers), has(status?.initContainers, spec.initContainers)];
  return !found.includes(false) && found.includes(true);
}
