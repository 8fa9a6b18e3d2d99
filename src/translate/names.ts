/** Names of xDS resources as Istio builds them, so that dashboards, `istioctl` and habits carry over. */

type TrafficDirection = 'outbound' | 'inbound';

/** `outbound|80|v1|www.example.com`; an inbound cluster has neither subset nor host: `inbound|8000||`. */
function clusterName(direction: TrafficDirection, port: number, subset: string, hostname: string): string {
  return `${direction}|${port}|${subset}|${hostname}`;
}

export function outboundClusterName(hostname: string, port: number, subset = ''): string {
  return clusterName('outbound', port, subset, hostname);
}

export function inboundClusterName(port: number): string {
  return clusterName('inbound', port, '', '');
}

/** `outbound_.80_.v1_.www.example.com`: the SNI by which an AUTO_PASSTHROUGH gateway knows a cluster, and the cluster that it then uses. */
export function dnsSrvClusterName(hostname: string, port: number, subset = ''): string {
  return `outbound_.${port}_.${subset}_.${hostname}`;
}

/** What may be the hostname in the name of an outbound cluster: one, or several where the name can be read in more than one way. */
export function hostnamesIn(cluster: string): string[] {
  const separator = cluster.startsWith('outbound_.') ? '_.' : '|';
  const parts = cluster.split(separator);
  return parts.flatMap((_, i) => (i < 3 ? [] : [parts.slice(i).join(separator)]));
}

export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster';
/** Takes what the sidecar and a passthrough send to the workload itself, so that the redirect rules let it through. */
export const INBOUND_SOURCE_ADDRESS = '127.0.0.6';

/** A route of a service that no VirtualService concerns. */
export const DEFAULT_ROUTE = 'default';

export const VIRTUAL_OUTBOUND_LISTENER = 'virtualOutbound';
export const VIRTUAL_INBOUND_LISTENER = 'virtualInbound';

/** What `gateways` of a VirtualService calls the sidecars. */
export const MESH_GATEWAY = 'mesh';

/** The DNS cache that the cluster of a service with resolution DYNAMIC_DNS and the filters before it share. */
export function dnsCacheName(hostname: string): string {
  return `${hostname}_dfp_dns_cache`;
}

/** Secrets, as Istio's agent and control plane name them. */
export function credentialSecretName(credentialName: string): string {
  return credentialName.includes('://') ? credentialName : `kubernetes://${credentialName}`;
}

/** The CA that a credential's client certificates (or an upstream's certificate) are verified against. */
export function credentialCaSecretName(credentialName: string): string {
  return `${credentialSecretName(credentialName)}-cacert`;
}

export function fileCertSecretName(certificatePath: string, keyPath: string): string {
  return `file-cert:${certificatePath}~${keyPath}`;
}

export function fileRootSecretName(caPath: string): string {
  return `file-root:${caPath}`;
}

/** The operating system's CAs. */
export const SYSTEM_ROOT_SECRET = 'file-root:system';
