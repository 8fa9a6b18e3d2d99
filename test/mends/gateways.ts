/** Gateways, and what is led to them and on from there. */
import {
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
  namespace,
  object,
  pod,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  secret,
  security,
  THROUGH,
  TLS,
  TLS_OUT,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
} from './documents.ts';
import type { Mend } from './mend.ts';

const CALL = `http://${HOST}/`;
const API_CALL = 'http://api.example.com/';
const API = entry(HTTP, '', { name: 'api' }, 'api.example.com');
const API_OUT = HTTP_OUT.replace(HOST, 'api.example.com');
const API_THROUGH = /egress\S* outbound\|80\|\|api\.example\.com > reaches api\.example\.com:80 in HTTP$/;
const BOTH_HOSTS = HTTP_SERVER.replace(`[${HOST}]`, `[${HOST}, api.example.com]`);
const AT_GATEWAY = 'gateways: [istio-system/out]\n';
const prefix = (value: string, name: string) =>
  routes(`${AT_GATEWAY}http:\n- {match: [{uri: {prefix: ${value}}}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`, {
    name,
  });
const ON_MESH = routes(`gateways: [mesh]\nhttp:\n- route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]`, { name: 'mesh' });
const TCP = '{number: 6379, name: tcp, protocol: TCP}';
const redis = (name: string, address: string, gateway: string, port = 6379) =>
  entry(TCP, `addresses: [${address}]`, { name }, `${name}.example.com`) +
  routes(
    `gateways: [mesh, istio-system/${gateway}]\ntcp:\n- {match: [{gateways: [mesh], port: 6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: ${port}}}}]}\n- {match: [{gateways: [istio-system/${gateway}], port: ${port}}], route: [{destination: {host: ${name}.example.com, port: {number: 6379}}}]}`,
    { name },
    `${name}.example.com`,
  );
const tcpServer = (host: string, port = 6379) => `- {port: {number: ${port}, name: tcp-${port}, protocol: TCP}, hosts: [${host}]}`;
const HTTPS_SERVER = (host: string, name = 'cert') =>
  `- {port: {number: 443, name: https, protocol: HTTPS}, hosts: [${host}], tls: {mode: SIMPLE, credentialName: ${name}}}`;
const kubernetes = (listener: string, className = 'istio') =>
  object(
    'gateway.networking.k8s.io/v1',
    'Gateway',
    `spec: {gatewayClassName: ${className}, addresses: [{type: Hostname, value: ${GATEWAY_HOST}}], listeners: [${listener}]}`,
    { name: 'eg', namespace: 'istio-system' },
  );
const LISTENER = `{name: http, port: 80, protocol: HTTP, hostname: ${HOST}, allowedRoutes: {namespaces: {from: All}}}`;
const httpRoute = (name: string, parent: string, rules: string) =>
  object('gateway.networking.k8s.io/v1', 'HTTPRoute', `spec:\n  parentRefs: [${parent}]\n  rules:\n  - ${rules}`, { name });
const HTTP_ROUTE_ON_MESH = httpRoute(
  'mesh',
  '{group: networking.istio.io, kind: ServiceEntry, name: www}',
  `backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${GATEWAY_HOST}, port: 80}]`,
);
const TO_WWW = `backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${HOST}, port: 80}]`;
const AT_EG = '{name: eg, namespace: istio-system}';
const NOT_THROUGH = /fails|answered (?:404|5\d\d)|closed/;

export const GATEWAY_MENDS: readonly Mend[] = [
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
    then: ['SP1023'],
  },
  {
    code: 'SP1022',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`gateways: [mesh]\nhttp:\n- route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]`),
    says: /Bind one \(gateways: \[istio-system\/out\]\)/,
    add: routes(`${AT_GATEWAY}http:\n${HTTP_OUT}`, { name: 'out' }),
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1022',
    of: 'a ServiceEntry without ports',
    text: REGISTRY_ONLY + entry(''),
    says: /Declare the ports that are called/,
    change: [['ports: []', `ports: [${HTTP}]`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1022',
    of: 'a ServiceEntry that nobody sees',
    text: REGISTRY_ONLY + entry(HTTP, 'exportTo: ["~"]'),
    says: /Export it to the namespaces that call them/,
    change: [['["~"]', '["."]']],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1022',
    of: 'a listener',
    text: REGISTRY_ONLY + entry(HTTP) + kubernetes(LISTENER) + HTTP_ROUTE_ON_MESH,
    says: /Attach one \(parentRefs: \[\{name: eg, namespace: istio-system\}\]\)/,
    add: httpRoute('out', AT_EG, TO_WWW),
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1023',
    text: STANDARD + pod('web') + EGRESS_POD + EGRESS_SERVICE,
    says: /Write policies that let only the gateway's pods leave: sallyport netpol prints them/,
    add: object(
      'networking.k8s.io/v1',
      'NetworkPolicy',
      'spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}',
      {
        name: 'inside',
      },
    ),
    call: CALL,
    ends: THROUGH,
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
  {
    code: 'SP1030',
    text: REGISTRY_ONLY + entry(HTTP) + kubernetes(LISTENER) + HTTP_ROUTE_ON_MESH + httpRoute('out', AT_EG, 'backendRefs: []'),
    says: /Add the Service or the host \(kind: Hostname, group: networking\.istio\.io\) to which they go/,
    change: [['backendRefs: []', TO_WWW]],
    call: CALL,
    was: /answered 500/,
    ends: THROUGH,
  },
  {
    code: 'SP1032',
    text: REGISTRY_ONLY + entry(HTTP) + kubernetes(LISTENER, 'itsio') + HTTP_ROUTE_ON_MESH + httpRoute('out', AT_EG, TO_WWW),
    says: /Did you mean istio\?/,
    change: [['itsio', 'istio']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1033',
    text:
      REGISTRY_ONLY +
      pod('web') +
      EGRESS_POD +
      EGRESS_SERVICE +
      entry(HTTP) +
      EGRESS.replace(`host: ${GATEWAY_HOST}`, `host: ${GATEWAY_HOST}, subset: www`) +
      istio('DestinationRule', `host: ${GATEWAY_HOST}\nsubsets: [{name: www}]`, { namespace: 'elsewhere' }),
    says: /Move it to istio-system/,
    change: [['namespace: elsewhere', 'namespace: istio-system']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'SP1034',
    text:
      REGISTRY_ONLY +
      namespace('shop', '{istio-injection: enabled}') +
      namespace('default', '{istio-injection: enabled}') +
      pod('cart', 'shop') +
      entry(HTTP, 'exportTo: [shp]'),
    says: /Did you mean shop\?/,
    change: [['[shp]', '[shop]']],
    call: `${CALL} --from shop/cart`,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1044',
    text: STANDARD.replaceAll(GATEWAY_HOST, 'vendor.gateways.svc.cluster.local').replace('{istio: egressgateway}', '{istio: vendor}'),
    says: /add the Service and a Pod of the gateway to them/,
    add:
      pod('web') +
      EGRESS_POD.replace('egressgateway', 'vendor').replace('istio-system', 'gateways') +
      EGRESS_SERVICE.replace('istio-egressgateway', 'vendor').replace('egressgateway', 'vendor').replace('istio-system', 'gateways'),
    call: CALL,
    ends: /gateways\/egress outbound\|80\|\|www\.example\.com > reaches www\.example\.com:80 in HTTP$/,
    // It is the files' own gateway then.
    then: ['SP1023'],
  },
  {
    code: 'SP1046',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      routes(`gateways: [mesh]\nhttp:\n- {match: [{port: 9910}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`),
    says: /Declare the port with a ServiceEntry/,
    change: [[HTTP, `${HTTP}, {number: 9910, name: http-9910, protocol: HTTP}`]],
    call: `http://${HOST}:9910/`,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1046',
    of: 'a wrong number',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      routes(`gateways: [mesh]\nhttp:\n- {match: [{port: 8080}], route: [{destination: {host: ${HOST}, port: {number: 80}}}]}`),
    says: /or correct the number/,
    change: [['port: 8080', 'port: 80']],
    call: CALL,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'IST0138',
    text:
      REGISTRY_ONLY +
      secret('cert', 'istio-system') +
      gateway(HTTPS_SERVER('a.example.com'), { name: 'one' }) +
      gateway(HTTPS_SERVER('b.example.com'), { name: 'two' }),
    says: /or give each a certificate of its own/,
    change: [[HTTPS_SERVER('b.example.com'), HTTPS_SERVER('b.example.com', 'other')]],
    add: secret('other', 'istio-system'),
  },
  {
    code: 'IST0138',
    of: 'hosts of one Gateway',
    text:
      REGISTRY_ONLY +
      secret('cert', 'istio-system') +
      gateway(HTTPS_SERVER('a.example.com'), { name: 'one' }) +
      gateway(HTTPS_SERVER('b.example.com'), { name: 'two' }),
    says: /Serve the hosts in one Gateway/,
    change: [
      [gateway(HTTPS_SERVER('b.example.com'), { name: 'two' }), ''],
      [HTTPS_SERVER('a.example.com'), HTTPS_SERVER('a.example.com, b.example.com')],
    ],
  },
  {
    code: 'IST0145',
    text: STANDARD + gateway(BOTH_HOSTS, { name: 'second' }),
    says: /Serve each host in one Gateway/,
    change: [[BOTH_HOSTS, HTTP_SERVER.replace(HOST, 'api.example.com')]],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'IST0145',
    of: 'bytes',
    text:
      REGISTRY_ONLY +
      gateway(tcpServer('a.example.com'), { name: 'one' }) +
      gateway(tcpServer('bb.example.com'), { name: 'two' }) +
      redis('a', '192.0.2.1', 'one') +
      redis('bb', '192.0.2.2', 'two'),
    says: /Give each TCP host a port of the gateway of its own: in the Gateway, in the gateway's Service and in the route that leads there/,
    change: [
      [tcpServer('bb.example.com'), tcpServer('bb.example.com', 6380)],
      [redis('bb', '192.0.2.2', 'two'), redis('bb', '192.0.2.2', 'two', 6380)],
    ],
    call: 'tcp://bb.example.com:6379',
    was: /outbound\|6379\|\|a\.example\.com > reaches/,
    ends: /egress\S* outbound\|6379\|\|bb\.example\.com > reaches/,
  },
  {
    code: 'IST0161',
    text: REGISTRY_ONLY + secret('cert', 'istio-system', 'nonsense') + gateway(HTTPS_SERVER('a.example.com')),
    says: /Put the text that begins with -----BEGIN CERTIFICATE----- there/,
    change: [[secret('cert', 'istio-system', 'nonsense'), secret('cert', 'istio-system')]],
  },
  {
    code: 'IST0162',
    text: STANDARD.replace(HTTP_SERVER, HTTP_SERVER.replace('number: 80', 'number: 8888')) + pod('web') + EGRESS_POD + EGRESS_SERVICE,
    says: /Add port 8888 to the gateway's Service/,
    change: [
      ['{name: http, port: 80, targetPort: 8080}', '{name: http, port: 8888}'],
      ['port: {number: 80}}}]}', 'port: {number: 8888}}}]}'],
      ['[istio-system/out], port: 80}', '[istio-system/out], port: 8888}'],
    ],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0162',
    of: "one of the Service's ports",
    text: STANDARD.replace(HTTP_SERVER, HTTP_SERVER.replace('number: 80', 'number: 8888')) + pod('web') + EGRESS_POD + EGRESS_SERVICE,
    says: /or use one of 80, 443/,
    change: [['number: 8888', 'number: 80']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0165',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      kubernetes(LISTENER) +
      HTTP_ROUTE_ON_MESH +
      routes(
        `gateways: [istio-system/eg-istio-autogenerated-k8s-gateway-http]\nhttp:\n- route: [{destination: {host: ${HOST}, port: {number: 80}}}]`,
      ),
    says: /Use an HTTPRoute/,
    change: [
      [
        routes(
          `gateways: [istio-system/eg-istio-autogenerated-k8s-gateway-http]\nhttp:\n- route: [{destination: {host: ${HOST}, port: {number: 80}}}]`,
        ),
        '',
      ],
    ],
    add: httpRoute('out', AT_EG, TO_WWW),
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'IST0149',
    text: STANDARD.replace(
      '[{gateways: [istio-system/out], port: 80}]',
      '[{gateways: [istio-system/out], headers: {"@request.auth.claims.group": {exact: a}}}]',
    ),
    says: /Add a RequestAuthentication that selects them/,
    add: security(
      'RequestAuthentication',
      'selector: {matchLabels: {istio: egressgateway}}\njwtRules: [{issuer: a, jwks: \'{"keys":[]}\'}]',
      {
        name: 'tokens',
        namespace: 'istio-system',
      },
    ),
  },
];
