/** Calls that go round the gateway. */
import {
  API,
  CALL,
  EGRESS,
  EGRESS_POD,
  EGRESS_SERVICE,
  entry,
  GATEWAY_HOST,
  gateway,
  HOST,
  HTTP,
  HTTP_OUT,
  HTTP_SERVER,
  HTTP_TO_GATEWAY,
  istio,
  pod,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  STRAIGHT,
  THROUGH,
  TLS,
  TLS_CALL,
  TLS_OUT,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
} from './documents.ts';
import type { Mend } from './mend.ts';

const WORKLOADS = pod('web') + pod('cart', 'shop', '{app: cart}', '10.0.0.2') + EGRESS_POD + EGRESS_SERVICE;
const FROM_SHOP = `${CALL} --from shop/cart`;
export const EGRESS_MENDS: readonly Mend[] = [
  {
    code: 'SP1001',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER),
    says: /Add a VirtualService for it with gateways \[mesh, istio-system\/out\]: http rules for mesh that lead to the gateway's Service, and for the Gateway that lead to www/,
    add: routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`),
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1001',
    of: 'TLS',
    text: REGISTRY_ONLY + entry(TLS) + gateway(TLS_SERVER),
    says: /tls rules for mesh that lead/,
    add: routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`),
    call: TLS_CALL,
    was: STRAIGHT,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1001',
    of: 'a host that no Gateway serves',
    text: STANDARD + API,
    says: /Add api\.example\.com to a server of the egress gateway's Gateway/,
    change: [[HTTP_SERVER, HTTP_SERVER.replace(`[${HOST}]`, `[${HOST}, api.example.com]`)]],
    add: routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT.replace(HOST, 'api.example.com')}`, { name: 'api' }, 'api.example.com'),
    call: 'http://api.example.com/',
    ends: /egress\S* outbound\|80\|\|api\.example\.com > reaches api\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1001',
    of: 'a wildcard of which one name is routed',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: NONE', { name: 'all' }, '*.example.com') + entry(HTTP) + EGRESS,
    says: /or declare just the names that are needed/,
    change: [[entry(HTTP, 'resolution: NONE', { name: 'all' }, '*.example.com'), '']],
    call: 'http://other.example.com/',
    was: /outbound\|80\|\|\*\.example\.com > reaches/,
    ends: /answered 502/,
  },
  {
    code: 'SP1001',
    of: 'an address that is routed in place of the name',
    text:
      REGISTRY_ONLY +
      entry(HTTP, 'addresses: [192.0.2.7]') +
      gateway(HTTP_SERVER.replace(`[${HOST}]`, '["192.0.2.7"]')) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`, {}, '192.0.2.7'),
    says: /Add www\.example\.com to hosts, there and in the Gateway's server/,
    change: [
      ['["192.0.2.7"]}', `["192.0.2.7", ${HOST}]}`],
      ['hosts: ["192.0.2.7"]\n', `hosts: ["192.0.2.7", ${HOST}]\n`],
    ],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1002',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + EGRESS,
    says: /Add one, and at the Gateway a server and a rule for it/,
    change: [
      [HTTP_SERVER, `${HTTP_SERVER}\n  ${TLS_SERVER}`],
      [HTTP_OUT, `${HTTP_OUT}\n  tls:\n  ${TLS_TO_GATEWAY}\n  ${TLS_OUT}`],
    ],
    call: TLS_CALL,
    was: STRAIGHT,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1002',
    of: 'a port that may be taken out',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + EGRESS,
    says: /or take the port out of the ServiceEntry/,
    change: [[`${HTTP}, ${TLS}`, HTTP]],
    call: TLS_CALL,
    ends: /closed/,
  },
  {
    code: 'SP1002',
    of: 'an http rule for a TLS port',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(`${HTTP_SERVER}\n${TLS_SERVER}`) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}\n${HTTP_TO_GATEWAY.replaceAll('80', '443')}`),
    says: /Use tls rules, on the mesh and at the gateway/,
    change: [[HTTP_TO_GATEWAY.replaceAll('80', '443'), `\n  tls:\n  ${TLS_TO_GATEWAY}\n  ${TLS_OUT}`.replace('\n  ', '')]],
    call: TLS_CALL,
    was: STRAIGHT,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1003',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + routes(`gateways: [istio-system/out]\nhttp:\n${HTTP_OUT}`),
    says: /Add mesh to gateways, with a match for mesh that leads to the egress gateway's Service/,
    change: [
      ['gateways: [istio-system/out]\n', 'gateways: [mesh, istio-system/out]\n'],
      [HTTP_OUT, `${HTTP_TO_GATEWAY}\n  ${HTTP_OUT}`],
    ],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1003',
    of: 'rules without a match',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`gateways: [istio-system/out]\nhttp:\n- route: [{destination: {host: ${HOST}, port: {number: 80}}}]`),
    says: /and limit the rules that are there to the gateway \(match: gateways: \[istio-system\/out\]\)/,
    change: [
      ['gateways: [istio-system/out]\n', 'gateways: [mesh, istio-system/out]\n'],
      ['- route: [', `${HTTP_TO_GATEWAY}\n  - match: [{gateways: [istio-system/out]}]\n    route: [`],
    ],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1004',
    text:
      REGISTRY_ONLY +
      WORKLOADS +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`exportTo: [".", istio-system]\nhttp:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`),
    says: /Export both alike/,
    change: [['exportTo: [".", istio-system]\n', 'exportTo: ["*"]\n']],
    call: FROM_SHOP,
    was: /^shop\/cart outbound\|80\|\|www\.example\.com > reaches /,
    ends: THROUGH,
  },
  {
    code: 'SP1004',
    of: 'a Sidecar',
    text:
      REGISTRY_ONLY +
      WORKLOADS +
      entry(HTTP, '', { namespace: 'outside' }) +
      gateway(HTTP_SERVER) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`, { namespace: 'platform' }) +
      istio('Sidecar', 'egress:\n- hosts: [outside/*, istio-system/*]', { name: 'default', namespace: 'shop' }),
    says: /Add platform\/www\.example\.com to hosts/,
    change: [['[outside/*, ', `[outside/*, platform/${HOST}, `]],
    call: FROM_SHOP,
    was: /^shop\/cart outbound\|80\|\|www\.example\.com > reaches /,
    ends: THROUGH,
  },
  {
    code: 'SP1004',
    of: 'a Sidecar that does not import the gateway either',
    text:
      REGISTRY_ONLY +
      WORKLOADS +
      entry(HTTP, '', { namespace: 'outside' }) +
      gateway(HTTP_SERVER) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`, { namespace: 'platform' }) +
      istio('Sidecar', 'egress:\n- hosts: [outside/*]', { name: 'default', namespace: 'shop' }),
    says: /Add platform\/www\.example\.com to hosts/,
    change: [['[outside/*', `[outside/*, platform/${HOST}`]],
    call: FROM_SHOP,
    was: /^shop\/cart outbound\|80\|\|www\.example\.com > reaches /,
    ends: THROUGH,
  },
  {
    code: 'SP1005',
    of: 'a port that nothing declares',
    text: entry(HTTP) + EGRESS,
    says: /Set REGISTRY_ONLY/,
    add: REGISTRY_ONLY,
    call: TLS_CALL,
    was: /PassthroughCluster > reaches/,
    ends: /closed/,
  },
  {
    code: 'SP1005',
    of: "a port for the gateway's use",
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(HTTP_SERVER) +
      originated() +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT.replace('number: 80', 'number: 443')}`),
    says: /or declare the port in the gateway's namespace alone/,
    change: [[`ports: [${HTTP}, ${TLS}]`, `ports: [${HTTP}]`]],
    add: entry(TLS, 'exportTo: ["."]', { name: 'www-tls', namespace: 'istio-system' }),
    call: TLS_CALL,
    was: STRAIGHT,
    ends: /closed/,
  },
  {
    code: 'SP1006',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`, {}, 'www.exmaple.com'),
    says: /Did you mean www\.example\.com\?/,
    change: [['www.exmaple.com', HOST]],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1008',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(
        `http:\n- {match: [{gateways: [mesh], uri: {prefix: /gw}}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}\n- {route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`,
      ),
    says: /Lead it to the gateway's Service/,
    change: [['- {route: ', `${HTTP_TO_GATEWAY}\n  - {match: [{gateways: [istio-system/out]}], route: `]],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1008',
    of: 'a condition on the workload',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(
        `gateways: [mesh]\nhttp:\n- {match: [{port: 80, sourceLabels: {app: shop}}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}`,
      ) +
      routes(`gateways: [istio-system/out]\nhttp:\n${HTTP_OUT}`, { name: 'out' }),
    says: /Take the condition out/,
    change: [[', sourceLabels: {app: shop}', '']],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1008',
    of: 'destinationSubnets',
    text:
      REGISTRY_ONLY +
      entry('{number: 6379, name: tcp, protocol: TCP}', 'addresses: [192.0.2.59]') +
      gateway(`- {port: {number: 6379, name: tcp, protocol: TCP}, hosts: [${HOST}]}`) +
      routes(
        `tcp:\n- {match: [{gateways: [mesh], port: 6379, destinationSubnets: [192.0.2.58/32]}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 6379}}}]}\n- {match: [{gateways: [istio-system/out], port: 6379}], route: [{destination: {host: ${HOST}, port: {number: 6379}}}]}`,
      ),
    says: /Take destinationSubnets out/,
    change: [[', destinationSubnets: [192.0.2.58/32]', '']],
    call: `tcp://${HOST}:6379`,
    was: STRAIGHT,
    ends: /egress\S* outbound\|6379\|\|www\.example\.com > reaches www\.example\.com:6379 in bytes$/,
  },
];

/** TLS that the gateway closes on port 443. */
function originated(): string {
  return istio(
    'DestinationRule',
    `host: ${HOST}\ntrafficPolicy:\n  portLevelSettings:\n  - port: {number: 443}\n    tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: system}`,
    { namespace: 'istio-system' },
  );
}
