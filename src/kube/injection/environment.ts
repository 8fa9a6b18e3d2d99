/** The environment of an injected proxy, with the names that Istio's agent reads: whatever looks into a pod finds what it expects. */

import { PROXY_CONTAINER } from '../../api/injection.ts';
import { proxyConfigJson } from '../../api/proxy-config-json.ts';
import type { EnvVar, Owner, WrittenPod } from './pod.ts';
import { APP_PROBERS } from './probes.ts';
import type { InjectionOptions, PodSettings } from './settings.ts';

export interface ProxyEnvironment {
  readonly pod: WrittenPod;
  readonly owner: Owner;
  readonly settings: PodSettings;
  readonly options: InjectionOptions;
  readonly controller: string;
  readonly network: string;
  readonly role: 'sidecar' | 'router';
  /** The application's probes that the agent makes, as JSON; undefined for none. */
  readonly probers: string | undefined;
  /** What the pod said of its metrics, as JSON. */
  readonly scraped: string | undefined;
}

export function proxyEnvironment(about: ProxyEnvironment): EnvVar[] {
  const { pod, owner, settings, options, controller, network, role, probers, scraped } = about;
  const { mesh, cluster } = options;
  const containers = pod.spec.containers.filter(({ name }) => name !== PROXY_CONTAINER);
  const ports = containers.flatMap(({ ports = [] }) => ports);
  const workload = pod.metadata?.labels?.['service.istio.io/workload-name'] ?? owner.name;
  const { apiVersion, kind, namespace } = owner;
  const path = `kubernetes://apis/${apiVersion}/namespaces/${namespace}/${kind.toLowerCase()}s/${owner.name}`;
  const mode = role === 'sidecar' ? settings.mode : settings.proxy.interceptionMode;
  return [
    said('PILOT_CERT_PROVIDER', 'istiod'),
    said('CA_ADDR', controller),
    field('POD_NAME', 'metadata.name'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    field('INSTANCE_IP', 'status.podIP'),
    field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    field('HOST_IP', 'status.hostIP'),
    { name: 'ISTIO_CPU_LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1' } } },
    said('PROXY_CONFIG', JSON.stringify(proxyConfigJson({ ...settings.proxy, discoveryAddress: controller }))),
    said('ISTIO_META_POD_PORTS', JSON.stringify(ports)),
    said('ISTIO_META_APP_CONTAINERS', containers.map(({ name }) => name).join(',')),
    said('ISTIO_META_CLUSTER_ID', cluster),
    field('ISTIO_META_NODE_NAME', 'spec.nodeName'),
    said('ISTIO_META_INTERCEPTION_MODE', mode),
    ...(network ? [said('ISTIO_META_NETWORK', network)] : []),
    ...(workload ? [said('ISTIO_META_WORKLOAD_NAME', workload)] : []),
    ...(owner.name ? [said('ISTIO_META_OWNER', path)] : []),
    said('ISTIO_META_MESH_ID', settings.proxy.meshId ?? mesh.trustDomain),
    said('TRUST_DOMAIN', mesh.trustDomain),
    ...Object.entries(settings.proxy.proxyMetadata).map(([name, value]) => said(name, value)),
    ...(scraped === undefined ? [] : [said('ISTIO_PROMETHEUS_ANNOTATIONS', scraped)]),
    ...(probers === undefined ? [] : [said(APP_PROBERS, probers)]),
  ];
}

/** Kubernetes replaces `$(NAME)` in a value unless the dollar is doubled. */
function said(name: string, value: string): EnvVar {
  return { name, value: value.replaceAll('$(', '$$$$(') };
}

function field(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
