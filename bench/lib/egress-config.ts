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

/** A ServiceEntry and a VirtualService: HTTP goes through the egress gateway, and TLS, also declared, past it (one finding each). */
function service(i: number): string {
  const host = `svc-${i}.ext.example.com`;
  const rule = (gateway: string, match: string, destination: string, timeout: number) => `  - match:
    - {gateways: [${gateway}], port: 80${match}}
    route: [{destination: {host: ${destination}, port: {number: 80}}}]
    timeout: ${timeout}s
    retries: {attempts: 2, perTryTimeout: 1s, retryOn: '5xx,reset'}
`;
  const gold = ', headers: {x-tier: {exact: gold}}';
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc-${i}, namespace: default}
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
metadata: {name: svc-${i}, namespace: default}
spec:
  hosts: [${host}]
  gateways: [mesh, istio-system/egress]
  http:
${rule('mesh', gold, EGRESS, 3)}${rule('mesh', '', EGRESS, 5)}${rule('istio-system/egress', gold, host, 3)}${rule('istio-system/egress', '', host, 5)}`;
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
    const part = Array.from({ length: Math.min(250, services - at) }, (_, i) => service(at + i));
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
