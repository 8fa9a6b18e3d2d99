/** Documents of configurations that have something to mend, one line a part, so that a change is a part of a line. */

import { TEST_DAY } from '../../src/analysis/testing.ts';
import { selfSigned } from '../../src/ca/certificates.ts';

/** The host that is called, and the Service of the gateway that its calls are to go through. */
export const HOST = 'www.example.com';
export const GATEWAY_HOST = 'istio-egressgateway.istio-system.svc.cluster.local';

export const HTTP = '{number: 80, name: http, protocol: HTTP}';
export const TLS = '{number: 443, name: tls, protocol: TLS}';

interface Named {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: string;
  readonly annotations?: string;
}

export function object(
  apiVersion: string,
  kind: string,
  spec: string,
  { name = 'www', namespace = 'default', labels, annotations }: Named = {},
): string {
  const metadata = [
    `name: ${name}`,
    namespace && `namespace: ${namespace}`,
    labels && `labels: ${labels}`,
    annotations && `annotations: ${annotations}`,
  ];
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {${metadata.filter(Boolean).join(', ')}}\n${spec}\n---\n`;
}

export function istio(kind: string, spec: string, named: Named = {}): string {
  return object('networking.istio.io/v1', kind, `spec:\n${indented(spec)}`, named);
}

export function security(kind: string, spec: string, named: Named = {}): string {
  return object('security.istio.io/v1', kind, `spec:\n${indented(spec)}`, named);
}

export function core(kind: string, spec: string, named: Named = {}): string {
  return object('v1', kind, spec, named);
}

function indented(text: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}

/** A host outside the mesh. `more`: further lines of the spec. */
export function entry(ports: string, more = '', named: Named = {}, host = HOST): string {
  const resolution = more.includes('resolution:') ? '' : 'resolution: DNS\n';
  const location = more.includes('location:') ? '' : 'location: MESH_EXTERNAL\n';
  return istio('ServiceEntry', `hosts: ["${host}"]\n${location}${resolution}ports: [${ports}]\n${more}`, named);
}

/** The Gateway `istio-system/out` of the egress gateway. */
export function gateway(servers: string, named: Named = {}): string {
  return istio('Gateway', `selector: {istio: egressgateway}\nservers:\n${servers}`, { name: 'out', namespace: 'istio-system', ...named });
}

export const HTTP_SERVER = `- {port: ${HTTP}, hosts: [${HOST}]}`;
export const TLS_SERVER = `- {port: ${TLS}, hosts: [${HOST}], tls: {mode: PASSTHROUGH}}`;

export function routes(spec: string, named: Named = {}, host = HOST): string {
  const gateways = /^gateways:/m.test(spec) ? '' : 'gateways: [mesh, istio-system/out]\n';
  const hosts = /^hosts:/m.test(spec) ? '' : `hosts: ["${host}"]\n`;
  return istio('VirtualService', `${hosts}${gateways}${spec}`, named);
}

/** Rules that lead to the gateway, and on from there. */
export const HTTP_TO_GATEWAY = `- {match: [{gateways: [mesh], port: 80}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}`;
export const HTTP_OUT = `- {match: [{gateways: [istio-system/out], port: 80}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`;
export const TLS_TO_GATEWAY = `- {match: [{gateways: [mesh], port: 443, sniHosts: [${HOST}]}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 443}}}]}`;
export const TLS_OUT = `- {match: [{gateways: [istio-system/out], port: 443, sniHosts: [${HOST}]}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`;

/** Unknown hosts are refused. */
export const REGISTRY_ONLY = core('ConfigMap', 'data:\n  mesh: |\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}', {
  name: 'istio',
  namespace: 'istio-system',
});

export const EGRESS = gateway(HTTP_SERVER) + routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`);
export const TLS_EGRESS = gateway(TLS_SERVER) + routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`);
export const STANDARD = REGISTRY_ONLY + entry(HTTP) + EGRESS;

/** How a call ends that goes as it should. */
export const THROUGH = / > istio-system\/(?:istio-)?egress\S* outbound\|80\|\|www\.example\.com > reaches www\.example\.com:80 in HTTP$/;
export const TLS_THROUGH =
  / > istio-system\/(?:istio-)?egress\S* outbound\|443\|\|www\.example\.com > reaches www\.example\.com:443 in TLS www\.example\.com$/;
export const STRAIGHT = /^default\/\S+ outbound\|\d+\|\|www\.example\.com > reaches /;

export function namespace(name: string, labels = ''): string {
  return core('Namespace', '', { name, namespace: '', ...(labels && { labels }) });
}

/** A workload with a sidecar. */
export function pod(name: string, where = 'default', labels = `{app: ${name}}`, address = '10.0.0.1'): string {
  return core(
    'Pod',
    `spec: {containers: [{name: app}, {name: istio-proxy}]}\nstatus: {podIP: ${address}, phase: Running, conditions: [{type: Ready, status: "True"}]}`,
    { name, namespace: where, labels },
  );
}

/** The egress gateway as the cluster has it, for configurations that have workloads. */
export const EGRESS_POD = core(
  'Pod',
  'spec: {containers: [{name: istio-proxy}]}\nstatus: {podIP: 10.0.9.1, phase: Running, conditions: [{type: Ready, status: "True"}]}',
  { name: 'egress', namespace: 'istio-system', labels: '{istio: egressgateway}' },
);
export const EGRESS_SERVICE = core(
  'Service',
  'spec: {clusterIP: 10.96.0.1, selector: {istio: egressgateway}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]}',
  { name: 'istio-egressgateway', namespace: 'istio-system' },
);

const DAY_MS = 86_400_000;
export const PAIR = selfSigned('example.com', { notBefore: TEST_DAY - DAY_MS, notAfter: TEST_DAY + 3650 * DAY_MS });
const KEY = PAIR.key.export({ type: 'pkcs8', format: 'pem' }) as string;

/** What servers and clients show, and whom they trust. */
export function secret(name: string, where: string, certificate = PAIR.certificate): string {
  const data = { 'tls.crt': certificate, 'tls.key': KEY, 'ca.crt': PAIR.certificate };
  return core('Secret', `stringData: ${JSON.stringify(data)}`, { name, namespace: where });
}

/** Parts that several kinds of mends have in common. */
export const CALL = `http://${HOST}/`;
export const API = entry(HTTP, '', { name: 'api' }, 'api.example.com');
export const BOTH_HOSTS = HTTP_SERVER.replace(`[${HOST}]`, `[${HOST}, api.example.com]`);
export const AT_GATEWAY = 'gateways: [istio-system/out]\n';
export const TCP = '{number: 6379, name: tcp, protocol: TCP}';
export const redis = (name: string, address: string, gateway: string, port = 6379) =>
  entry(TCP, `addresses: [${address}]`, { name }, `${name}.example.com`) +
  routes(
    `gateways: [mesh, istio-system/${gateway}]\ntcp:\n- {match: [{gateways: [mesh], port: 6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: ${port}}}}]}\n- {match: [{gateways: [istio-system/${gateway}], port: ${port}}], route: [{destination: {host: ${name}.example.com, port: {number: 6379}}}]}`,
    { name },
    `${name}.example.com`,
  );
export const tcpServer = (host: string, port = 6379) => `- {port: {number: ${port}, name: tcp-${port}, protocol: TCP}, hosts: [${host}]}`;
export const kubernetes = (listener: string, className = 'istio') =>
  object(
    'gateway.networking.k8s.io/v1',
    'Gateway',
    `spec: {gatewayClassName: ${className}, addresses: [{type: Hostname, value: ${GATEWAY_HOST}}], listeners: [${listener}]}`,
    { name: 'eg', namespace: 'istio-system' },
  );
export const LISTENER = `{name: http, port: 80, protocol: HTTP, hostname: ${HOST}, allowedRoutes: {namespaces: {from: All}}}`;
export const httpRoute = (name: string, parent: string, rules: string) =>
  object('gateway.networking.k8s.io/v1', 'HTTPRoute', `spec:\n  parentRefs: [${parent}]\n  rules:\n  - ${rules}`, { name });
export const HTTP_ROUTE_ON_MESH = httpRoute(
  'mesh',
  '{group: networking.istio.io, kind: ServiceEntry, name: www}',
  `backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${GATEWAY_HOST}, port: 80}]`,
);
export const TO_WWW = `backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${HOST}, port: 80}]`;
export const AT_EG = '{name: eg, namespace: istio-system}';
export const NOT_THROUGH = /fails|answered (?:404|5\d\d)|closed/;
export const to = (destination = `{host: ${HOST}, port: {number: 80}}`) => `route: [{destination: ${destination}}]`;
export const direct = (rules: string, more = '') => routes(`gateways: [mesh]\nhttp:\n${rules}\n${more}`);
export const HTTP_ALT = '{number: 8080, name: http-alt, protocol: HTTP}';
export const sidecar = (name: string, selector: string, where = 'default') =>
  istio('Sidecar', `${selector}egress: [{hosts: ["*/*"]}]`, { name, namespace: where });
export const APP_ONE = 'workloadSelector: {labels: {app: one}}\n';
export const staticEntry = (more: string) => entry(HTTP, `resolution: STATIC\n${more}`);
export const TLS_CALL = `https://${HOST}/`;
export const DIRECT = /reaches www\.example\.com:80 in HTTP$/;
