/** Configurations as text, for tests that run the program: a server on this machine stands for a host outside the mesh. Each document begins with its own line. */

export const REGISTRY_ONLY = `
---
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }`;

/** The server at a port of the loopback address, as a host that plain HTTP reaches at port 80. */
export const hostHere = (name: string, host: string, port: number, namespace = 'default') => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  hosts: [${host}]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]`;

/** Calls to the host go through an installation's egress gateway. */
export const throughEgress = (host: string) => `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: default }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [${host}] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: default }
spec:
  hosts: [${host}]
  gateways: [mesh, egress]
  http:
  - match: [{ gateways: [mesh] }]
    route: [{ destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } } }]
  - match: [{ gateways: [egress] }]
    route: [{ destination: { host: ${host}, port: { number: 80 } } }]`;

/** What arrives for the host at a port of the gateways that a label selects goes to the host. */
export const fromGateway = (host: string, port: number, label = 'istio: egressgateway') => `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: default }
spec:
  selector: { ${label} }
  servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: [${host}] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: default }
spec:
  hosts: [${host}]
  gateways: [egress]
  http: [{ name: all, route: [{ destination: { host: ${host}, port: { number: 80 } } }] }]`;
