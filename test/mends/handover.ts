/** What is led to a gateway, and on from there. */
import {
  API,
  AT_EG,
  AT_GATEWAY,
  BOTH_HOSTS,
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
  HTTP_ROUTE_ON_MESH,
  HTTP_SERVER,
  HTTP_TO_GATEWAY,
  httpRoute,
  kubernetes,
  LISTENER,
  NOT_THROUGH,
  pod,
  REGISTRY_ONLY,
  redis,
  routes,
  THROUGH,
  TLS,
  TLS_OUT,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
  TO_WWW,
  tcpServer,
} from './documents.ts';
import type { Mend } from './mend.ts';

const API_CALL = 'http://api.example.com/';
const API_OUT = HTTP_OUT.replace(HOST, 'api.example.com');
const API_THROUGH = /egress\S* outbound\|80\|\|api\.example\.com > reaches api\.example\.com:80 in HTTP$/;
const prefix = (value: string, name: string) =>
  routes(`${AT_GATEWAY}http:\n- {match: [{uri: {prefix: ${value}}}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`, {
    name,
  });
const ON_MESH = routes(`gateways: [mesh]\nhttp:\n- route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]`, { name: 'mesh' });
export const HANDOVER_MENDS: readonly Mend[] = [
  {
    code: 'SP1001',
    of: 'a Gateway of the Kubernetes Gateway API',
    text: REGISTRY_ONLY + entry(HTTP) + kubernetes(LISTENER) + httpRoute('out', AT_EG, TO_WWW),
    says: /Attach an HTTPRoute to it \(parentRefs: \[\{group: networking\.istio\.io, kind: ServiceEntry, name: www\}\]\) that leads to the gateway's Service/,
    add: HTTP_ROUTE_ON_MESH,
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1012',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      API +
      gateway(BOTH_HOSTS) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`) +
      routes(`gateways: [mesh]\nhttp:\n${HTTP_TO_GATEWAY}`, { name: 'api' }, 'api.example.com'),
    says: /Add it to a VirtualService's hosts/,
    add: routes(`${AT_GATEWAY}http:\n${API_OUT}`, { name: 'api-out' }, 'api.example.com'),
    call: API_CALL,
    was: NOT_THROUGH,
    ends: API_THROUGH,
  },
  {
    code: 'SP1012',
    of: 'a host of a Gateway that is removed',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(BOTH_HOSTS) + routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`),
    says: /or remove it here/,
    change: [[', api.example.com', '']],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1012',
    of: 'a VirtualService',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      ON_MESH.replace(`"${HOST}"`, `"${HOST}", api.example.com`) +
      API +
      routes(`hosts: [${HOST}, api.example.com]\n${AT_GATEWAY}http:\n- route: [{destination: {host: ${HOST}, port: {number: 80}}}]`),
    says: /Add it to a server of the Gateway/,
    change: [[HTTP_SERVER, BOTH_HOSTS]],
    call: API_CALL,
    was: NOT_THROUGH,
    ends: /egress\S* outbound\|80\|\|www\.example\.com > reaches/,
  },
  {
    code: 'SP1015',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`http:\n- route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]`),
    says: /Limit the rule to mesh \(match: gateways: \[mesh\]\), and add one for the gateway that leads to the external host/,
    change: [['- route:', `${HTTP_OUT}\n  - match: [{gateways: [mesh]}]\n    route:`]],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1015',
    of: 'endpoints that are the gateway',
    text:
      REGISTRY_ONLY +
      entry(HTTP, `endpoints: [{address: ${GATEWAY_HOST}}]`) +
      gateway(HTTP_SERVER) +
      routes(`gateways: [istio-system/out]\nhttp:\n${HTTP_OUT}`),
    says: /Take the endpoints out there, and lead calls to the gateway with a rule on the mesh/,
    change: [
      [`endpoints: [{address: ${GATEWAY_HOST}}]`, ''],
      ['gateways: [istio-system/out]', 'gateways: [mesh, istio-system/out]'],
      ['http:\n', `http:\n  ${HTTP_TO_GATEWAY}\n`],
    ],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1016',
    text: REGISTRY_ONLY + entry(HTTP, 'exportTo: ["."]') + EGRESS,
    says: /Add istio-system to its exportTo/,
    change: [['exportTo: ["."]', 'exportTo: [".", istio-system]']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1016',
    of: 'a host without addresses',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: NONE') + EGRESS,
    says: /Use resolution DNS/,
    change: [['resolution: NONE', 'resolution: DNS']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1016',
    of: 'a wildcard whose names are written',
    text:
      REGISTRY_ONLY +
      entry(TLS, 'resolution: NONE', {}, '*.example.com') +
      gateway(TLS_SERVER.replace(HOST, '"*.example.com"')) +
      routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`.replaceAll(HOST, '"*.example.com"'), {}, '*.example.com'),
    says: /Name the hosts that are needed in place of the wildcard \(there, in the rules and in the Gateway\), with resolution DNS/,
    change: [['resolution: NONE', 'resolution: DNS'], ...Array.from({ length: 6 }, () => ['"*.example.com"', HOST] as const)],
    call: `https://${HOST}/`,
    was: NOT_THROUGH,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1017',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + routes(`http:\n${HTTP_TO_GATEWAY}`),
    says: /Add a rule under http with match gateways: \[istio-system\/out\] that leads to www\.example\.com/,
    change: [[HTTP_TO_GATEWAY, `${HTTP_TO_GATEWAY}\n  ${HTTP_OUT}`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'a server that is missing',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      API +
      gateway(HTTP_SERVER) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`) +
      routes(`gateways: [mesh]\nhttp:\n${HTTP_TO_GATEWAY}`, { name: 'api' }, 'api.example.com'),
    says: /Add a server with port 80 and the host, and a rule for it at the gateway/,
    change: [
      [HTTP_SERVER, BOTH_HOSTS],
      ['gateways: [mesh]\n', 'gateways: [mesh, istio-system/out]\n'],
      [`${HTTP_TO_GATEWAY}\n---`, `${HTTP_TO_GATEWAY}\n  ${API_OUT}\n---`],
    ],
    call: API_CALL,
    was: NOT_THROUGH,
    ends: API_THROUGH,
  },
  {
    code: 'SP1017',
    of: 'another port of the gateway',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`http:\n${HTTP_TO_GATEWAY.replace('number: 80', 'number: 443')}\n${HTTP_OUT}`),
    says: /or lead the calls to the port that has one/,
    change: [['number: 443', 'number: 80']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'TLS to a port of plain HTTP',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      gateway(HTTP_SERVER) +
      routes(`tls:\n${TLS_TO_GATEWAY.replace('{number: 443}', '{number: 80}')}\nhttp:\n${HTTP_OUT.replace('number: 80', 'number: 443')}`),
    says: /Lead it to a port with a server of protocol TLS \(tls: \{mode: PASSTHROUGH\}\), with a tls rule at the gateway/,
    change: [
      [HTTP_SERVER, TLS_SERVER],
      ['{number: 80}}}]}', '{number: 443}}}]}'],
      [`http:\n  ${HTTP_OUT.replace('number: 80', 'number: 443')}`, `${TLS_OUT}`],
    ],
    call: `https://${HOST}/`,
    was: NOT_THROUGH,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1017',
    of: 'a Gateway of the Kubernetes Gateway API',
    text: REGISTRY_ONLY + entry(HTTP) + kubernetes(LISTENER) + HTTP_ROUTE_ON_MESH,
    says: /Attach one \(parentRefs: \[\{name: eg, namespace: istio-system\}\]\) that leads to www\.example\.com/,
    add: httpRoute('out', AT_EG, TO_WWW),
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'a Service whose pods no Gateway selects',
    text:
      REGISTRY_ONLY + pod('web') + EGRESS_POD + EGRESS_SERVICE + entry(HTTP) + EGRESS.replace('{istio: egressgateway}', '{istio: other}'),
    says: /Select its pods \(istio=egressgateway\) with the Gateway that serves the hosts/,
    change: [['selector: {istio: other}', 'selector: {istio: egressgateway}']],
    call: `${CALL} --from default/web`,
    ends: THROUGH,
    // It is in use then.
    beside: ['SP1023'],
  },
  {
    code: 'SP1027',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + ON_MESH + prefix('/a', 'one') + prefix('/a/b', 'two'),
    says: /Join the two VirtualServices, the narrower rule first/,
    change: [
      [prefix('/a/b', 'two'), ''],
      [
        '- {match: [{uri: {prefix: /a}}]',
        `- {match: [{uri: {prefix: /a/b}}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}\n  - {match: [{uri: {prefix: /a}}]`,
      ],
    ],
    call: `${CALL}a/b`,
    ends: THROUGH,
  },
  {
    code: 'SP1027',
    of: 'matches that differ',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + ON_MESH + prefix('/a', 'one') + prefix('/a/b', 'two'),
    says: /or make the matches differ/,
    change: [['prefix: /a/b', 'prefix: /b']],
    call: `${CALL}b`,
    ends: THROUGH,
  },
  {
    code: 'SP1027',
    of: 'bytes',
    text: REGISTRY_ONLY + gateway(tcpServer('"*"')) + redis('a', '192.0.2.1', 'out') + redis('bb', '192.0.2.2', 'out'),
    says: /Give each host a port of the gateway of its own/,
    change: [
      [tcpServer('"*"'), `${tcpServer('"*"')}\n  ${tcpServer('"*"', 6380)}`],
      [redis('bb', '192.0.2.2', 'out'), redis('bb', '192.0.2.2', 'out', 6380)],
    ],
    call: 'tcp://bb.example.com:6379',
    was: /outbound\|6379\|\|a\.example\.com > reaches/,
    ends: /egress\S* outbound\|6379\|\|bb\.example\.com > reaches/,
  },
  {
    code: 'SP1028',
    text: REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + routes(`gateways: [mesh]\nhttp:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`),
    says: /Write gateways: \[mesh, istio-system\/out\]/,
    change: [['gateways: [mesh]\n', 'gateways: [mesh, istio-system/out]\n']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
];
