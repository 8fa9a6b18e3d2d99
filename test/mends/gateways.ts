/** Gateways, their servers and what they need around them. */
import {
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
  httpRoute,
  istio,
  kubernetes,
  LISTENER,
  NOT_THROUGH,
  namespace,
  object,
  pod,
  REGISTRY_ONLY,
  redis,
  routes,
  STANDARD,
  secret,
  security,
  THROUGH,
  TO_WWW,
  tcpServer,
} from './documents.ts';
import type { Mend } from './mend.ts';

const HTTPS_SERVER = (host: string, name = 'cert') =>
  `- {port: {number: 443, name: https, protocol: HTTPS}, hosts: [${host}], tls: {mode: SIMPLE, credentialName: ${name}}}`;
export const GATEWAY_MENDS: readonly Mend[] = [
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
    beside: ['SP1023'],
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
