/** What reading and decoding say, and the conversion of the Kubernetes Gateway API. */
import { CALL, core, DIRECT, entry, GATEWAY_HOST, HOST, HTTP, object, REGISTRY_ONLY, THROUGH } from './documents.ts';
import type { Mend } from './mend.ts';

const REFUSED = /answered (?:404|5\d\d)|closed|fails/;
const ENTRY = entry(HTTP);
const gatewayApi = (kind: string, spec: string, name: string, namespace = 'default') =>
  object(`gateway.networking.k8s.io/${kind === 'ReferenceGrant' ? 'v1beta1' : 'v1'}`, kind, `spec: ${spec}`, { name, namespace });
const egressPolicy = (name: string, spec: string) => object('sallyport.dev/v1alpha1', 'EgressPolicy', `spec: ${spec}`, { name });
const GATEWAY = gatewayApi(
  'Gateway',
  `{gatewayClassName: istio, addresses: [{type: Hostname, value: ${GATEWAY_HOST}}], listeners: [{name: http, port: 80, protocol: HTTP, hostname: ${HOST}, allowedRoutes: {namespaces: {from: All}}}]}`,
  'eg',
  'istio-system',
);
const route = (name: string, parents: string, backend: string) =>
  gatewayApi('HTTPRoute', `{parentRefs: [${parents}], rules: [{backendRefs: [${backend}]}]}`, name);
const ON_MESH = route(
  'mesh',
  '{group: networking.istio.io, kind: ServiceEntry, name: www}',
  `{group: networking.istio.io, kind: Hostname, name: ${GATEWAY_HOST}, port: 80}`,
);
const AT_GATEWAY = '{name: eg, namespace: istio-system}';
const TO_WWW = `{group: networking.istio.io, kind: Hostname, name: ${HOST}, port: 80}`;
const WEB = core('Service', 'spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}]}', { name: 'web', namespace: 'shop' });
const BASE = REGISTRY_ONLY + ENTRY + GATEWAY + ON_MESH;

export const DECODING_MENDS: readonly Mend[] = [
  {
    code: 'SP0001',
    text: REGISTRY_ONLY + ENTRY.replace(`ports: [${HTTP}]`, `ports: [${HTTP}`),
    says: /./,
    change: [[`ports: [${HTTP}`, `ports: [${HTTP}]`]],
    call: CALL,
    was: REFUSED,
    ends: DIRECT,
  },
  {
    code: 'SP0005',
    text: `${REGISTRY_ONLY}hosts: [${HOST}]\n---\n${ENTRY}`,
    says: /apiVersion/,
    change: [[`hosts: [${HOST}]\n---\n`, '']],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP0007',
    text: REGISTRY_ONLY + ENTRY.replace('networking.istio.io/v1', 'networking.istio.io/v2'),
    says: /networking\.istio\.io\/v1/,
    change: [['networking.istio.io/v2', 'networking.istio.io/v1']],
    call: CALL,
    was: REFUSED,
    ends: DIRECT,
  },
  {
    code: 'SP0008',
    text: REGISTRY_ONLY + ENTRY.replace('resolution:', 'resolutions:'),
    says: /did you mean resolution\?/i,
    change: [['resolutions:', 'resolution:']],
    call: CALL,
    was: REFUSED,
    ends: DIRECT,
  },
  {
    code: 'SP0009',
    text: REGISTRY_ONLY + ENTRY + ENTRY,
    says: /remove|rename/i,
    change: [[ENTRY + ENTRY, ENTRY]],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP0015',
    text: REGISTRY_ONLY + ENTRY.replace('kind: ServiceEntry', 'kind: ServiceEntri'),
    says: /did you mean ServiceEntry\?/i,
    change: [['kind: ServiceEntri\n', 'kind: ServiceEntry\n']],
    call: CALL,
    was: REFUSED,
    ends: DIRECT,
  },
  {
    code: 'SP0012',
    text: BASE + route('out', '{name: egg, namespace: istio-system}', TO_WWW),
    says: /Did you mean istio-system\/eg\?/,
    change: [['{name: egg', '{name: eg']],
    call: CALL,
    was: REFUSED,
    ends: THROUGH,
  },
  {
    code: 'SP0013',
    text: BASE + WEB + route('out', AT_GATEWAY, '{name: web, namespace: shop, port: 80}'),
    says: /ReferenceGrant/,
    add: gatewayApi(
      'ReferenceGrant',
      '{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: "", kind: Service}]}',
      'web',
      'shop',
    ),
  },
  {
    code: 'SP0018',
    text:
      egressPolicy('a', '{to: [{hosts: [api.example.com]}]}') + egressPolicy('b', '{through: gateway, to: [{hosts: [api.example.com]}]}'),
    says: /Write the same in both/,
    change: [['through: gateway, ', '']],
  },
  {
    code: 'SP0019',
    text: egressPolicy('a', '{to: [{hosts: [api.example.com]}], expires: "2020-01-01"}'),
    says: /Set a later expires, or remove the policy/,
    change: [['2020-01-01', '2099-01-01']],
  },
  {
    code: 'SP0014',
    text: BASE.replace('type: Hostname', 'type: NamedAddress') + route('out', AT_GATEWAY, TO_WWW),
    says: /use Hostname with the name of a Service/,
    change: [['NamedAddress', 'Hostname']],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP0011',
    text: REGISTRY_ONLY.replace('{mode: REGISTRY_ONLY}', '{mode: REGISTRY_ONLI}') + ENTRY,
    says: /./,
    change: [['REGISTRY_ONLI', 'REGISTRY_ONLY']],
    call: 'http://other.example.net/',
    ends: REFUSED,
  },
];
