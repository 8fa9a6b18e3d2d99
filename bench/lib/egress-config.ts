/** Configurations of a given size, as text. */

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

const GATEWAY = `apiVersion: v1
kind: Namespace
metadata: {name: default}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system, labels: {istio: egressgateway}}
spec:
  selector: {istio: egressgateway}
  clusterIP: 10.96.100.100
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
---
apiVersion: v1
kind: Pod
metadata: {name: egress, namespace: istio-system, labels: {istio: egressgateway}}
spec: {serviceAccountName: egress, containers: [{name: istio-proxy}]}
status: {podIP: 10.1.0.10}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: istio-system}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*']
`;

export const hostOf = (index: number): string => `svc-${index}.ext.example.com`;

/** What tells one state of a service from another: the timeout of its calls in seconds, and the status of a fault that they get. */
export interface ServiceState {
  readonly timeout: number;
  readonly status?: number;
}

/** A ServiceEntry and a VirtualService: HTTP goes through the egress gateway, and TLS, also declared, past it (one finding each). */
export function serviceText(index: number, { timeout, status }: ServiceState = { timeout: 5 }): string {
  const host = hostOf(index);
  const rule = (gateway: string, match: string, destination: string, seconds: number, more = '') => `  - match:
    - {gateways: [${gateway}], port: 80${match}}
    route: [{destination: {host: ${destination}, port: {number: 80}}}]
    timeout: ${seconds}s
    retries: {attempts: 2, perTryTimeout: 1s, retryOn: '5xx,reset'}
${more}`;
  const gold = ', headers: {x-tier: {exact: gold}}';
  const fault = status === undefined ? '' : `    fault: {abort: {httpStatus: ${status}, percentage: {value: 100}}}\n`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc-${index}, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
  - {number: 443, name: tls, protocol: TLS}
  - {number: 80, name: http, protocol: HTTP}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: svc-${index}, namespace: default}
spec:
  hosts: [${host}]
  gateways: [mesh, istio-system/egress]
  http:
${rule('mesh', gold, EGRESS, 3)}${rule('mesh', '', EGRESS, timeout, fault)}${rule('istio-system/egress', gold, host, 3)}${rule('istio-system/egress', '', host, 5)}`;
}

/** A Sidecar for one workload, which sees the gateway and `hosts` of the services, others than those of the other workloads. */
function sidecar(i: number, services: number, hosts: number): string {
  const seen = Array.from({ length: hosts }, (_, k) => `'*/svc-${(7 * i + 3 * k) % services}.ext.example.com'`);
  return `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: app-${i}, namespace: team-${i % 10}}
spec:
  workloadSelector: {labels: {app: app-${i}}}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress:
  - hosts: [istio-system/*, ${seen.join(', ')}]
`;
}

/** As `egressConfig`, with a Sidecar for each workload, so that no two of them have the same configuration. */
export function sidecarConfig(services: number, workloads: number, hosts: number): string[] {
  const sidecars = Array.from({ length: workloads }, (_, i) => sidecar(i, services, hosts));
  return [...egressConfig(services, workloads), sidecars.join('---\n')];
}

/** The files of a configuration: 250 services a file, and `workloads` pods in ten namespaces in one more. */
export function egressConfig(services: number, workloads = 0): string[] {
  const files: string[] = [];
  for (let at = 0; at < services; at += 250) {
    const part = Array.from({ length: Math.min(250, services - at) }, (_, i) => serviceText(at + i));
    files.push((at === 0 ? [GATEWAY, ...part] : part).join('---\n'));
  }
  const pods = Array.from(
    { length: workloads },
    (_, i) => `apiVersion: v1
kind: Pod
metadata: {name: app-${i}, namespace: team-${i % 10}, labels: {app: app-${i}}}
spec: {serviceAccountName: app-${i}, containers: [{name: app}]}
status: {podIP: 10.20.${i >> 8}.${i & 255}}
`,
  );
  return pods.length > 0 ? [...files, pods.join('---\n')] : files;
}
