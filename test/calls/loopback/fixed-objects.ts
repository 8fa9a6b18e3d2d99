/** The lab's own Kubernetes objects, as YAML documents: what every case finds in place. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Certificates, makeCertificates } from './certificates.ts';
import { PODS, podsOf, SERVICES } from './topology.ts';

/** With certificates of their own, for tests that carry no traffic. */
export async function madeFixedObjects(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-fixed-'));
  try {
    return fixedObjects(await makeCertificates(folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function fixedObjects(certificates: Certificates): string {
  const objects: object[] = [];
  for (const name of ['istio-system', 'default', 'other', 'legacy'])
    objects.push({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  // The two httpbin pods share theirs.
  const accounts = new Map(PODS.map(({ serviceAccount: name, namespace }) => [`${namespace}/${name}`, { name, namespace }]));
  for (const metadata of accounts.values()) objects.push({ apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  objects.push({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'lab', labels: { 'kubernetes.io/hostname': 'lab' } } });
  for (const pod of PODS) {
    const canonical = {
      'service.istio.io/canonical-name': pod.labels.app,
      'service.istio.io/canonical-revision': pod.labels.version ?? 'latest',
    };
    const labels = {
      ...pod.labels,
      ...(pod.kind === 'sidecar' ? { 'security.istio.io/tlsMode': 'istio' } : {}),
      ...(pod.kind === 'none' ? {} : canonical),
    };
    const ports = (pod.appPorts.length > 0 ? pod.appPorts : [15090]).map((containerPort) => ({ containerPort }));
    objects.push({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod.name, namespace: pod.namespace, labels },
      spec: { serviceAccountName: pod.serviceAccount, nodeName: 'lab', containers: [{ name: 'app', image: 'lab', ports }] },
      status: { phase: 'Running', podIP: pod.ip, conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  for (const service of SERVICES) {
    const { name, namespace, selector } = service;
    objects.push({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: selector },
      spec: { clusterIP: service.clusterIp, selector, ports: service.ports.map((port) => ({ ...port, protocol: 'TCP' })) },
    });
    objects.push({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      metadata: { name: `${name}-lab`, namespace, labels: { 'kubernetes.io/service-name': name } },
      ports: service.ports.map((port) => ({ name: port.name, port: port.targetPort, protocol: 'TCP' })),
      endpoints: podsOf(service).map((pod) => ({
        addresses: [pod.ip],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: 'lab',
        targetRef: { kind: 'Pod', name: pod.name, namespace: pod.namespace },
      })),
    });
  }
  objects.push(...caseSecrets(certificates));
  return objects.map((object) => stringify(object)).join('---\n');
}

/** The Secrets that a case may name. */
export function caseSecrets(certificates: Certificates) {
  const pair = (name: string, extra: Record<string, string> = {}) => {
    const { cert, key } = certificates.named.get(name)!;
    return { 'tls.crt': cert, 'tls.key': key, ...extra };
  };
  const secrets: Record<string, Record<string, string>> = {
    'client-cred': pair('client', { 'ca.crt': certificates.ca }),
    'gw-www': pair('gw-www'),
    'gw-api': pair('gw-api'),
    'gw-wild': pair('gw-wild'),
    'gw-httpbin': pair('gw-httpbin'),
    'gw-mutual': pair('gw-www', { 'ca.crt': certificates.ca }),
    'private-ca': { 'ca.crt': certificates.privateCa },
  };
  return Object.entries(secrets).flatMap(([name, stringData]) => {
    const type = 'tls.crt' in stringData ? 'kubernetes.io/tls' : 'Opaque';
    return ['istio-system', 'default'].map((namespace) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      type,
      metadata: { name, namespace },
      stringData,
    }));
  });
}
