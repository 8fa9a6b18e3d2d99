/** For tests of commands that simulate calls: a host, and the way to it through the egress gateway. */

export const WWW_ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---`;

/** The gateway passes on what is under `/v1` alone. */
export const WWW_THROUGH_GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80, uri: {prefix: /v1}}]
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
---`;

/** A workload with an address. */
export function podText(name: string, ip: string, { namespace = 'default', labels = '{}' } = {}): string {
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: ${labels}}
spec: {containers: [{name: app, image: x}]}
status: {podIP: ${ip}, phase: Running}
---`;
}

/** The hops of an explanation as `proxy cluster`. */
export function hopsOf({ trace }: { readonly trace: { readonly hops: readonly { readonly proxy: string; readonly cluster: string }[] } }) {
  return trace.hops.map(({ proxy, cluster }) => `${proxy} ${cluster}`);
}
