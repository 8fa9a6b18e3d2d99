/** What public reports asked for: TLS on the way to a gateway, delegates, servers that speak first. */
import {
  CALL,
  core,
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
  security,
  THROUGH,
  TLS,
  TLS_CALL,
  TLS_OUT,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
} from './documents.ts';
import type { Mend } from './mend.ts';

const MUTUAL_SERVER = (protocol: string) =>
  `- {port: {number: 443, name: mutual, protocol: ${protocol}}, hosts: [${HOST}], tls: {mode: ISTIO_MUTUAL}}`;
const toGateway = (tls: string) =>
  istio('DestinationRule', `host: ${GATEWAY_HOST}\ntrafficPolicy: {tls: ${tls}}`, { name: 'to-gateway', namespace: 'istio-system' });
const MUTUAL = `{mode: ISTIO_MUTUAL, sni: ${HOST}}`;
const HTTP_TO_443 = HTTP_TO_GATEWAY.replace('port: {number: 80}', 'port: {number: 443}');
const HTTP_OUT_443 = HTTP_OUT.replace('port: 80}', 'port: 443}');
const TCP_OUT = `- {match: [{gateways: [istio-system/out], port: 443}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`;
const AS_WWW = `rewrite: {authority: ${HOST}}`;
const MIRROR = 'mirror: {host: copy.example.com, port: {number: 80}}';
const COPY =
  entry(HTTP, '', { name: 'copy' }, 'copy.example.com') +
  gateway(HTTP_SERVER.replace(HOST, 'copy.example.com'), { name: 'copy' }) +
  routes(
    `http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT.replace(HOST, 'copy.example.com')}`.replaceAll('istio-system/out', 'istio-system/copy'),
    { name: 'copy' },
    'copy.example.com',
  ).replaceAll('istio-system/out', 'istio-system/copy');
const UPGRADED = REGISTRY_ONLY.replace('{mode: REGISTRY_ONLY}', '{mode: REGISTRY_ONLY}\n    h2UpgradePolicy: UPGRADE');
const atGateway = (action: string, rules: string) =>
  security('AuthorizationPolicy', `selector: {matchLabels: {istio: egressgateway}}\naction: ${action}\nrules:\n${rules}`, {
    namespace: 'istio-system',
  });
const MYSQL = '{number: 3306, name: mysql, protocol: HTTP}';

export const REPORT_MENDS: readonly Mend[] = [
  {
    code: 'SP1017',
    of: 'mutual TLS without a server name',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(MUTUAL_SERVER('HTTPS')) +
      toGateway('{mode: ISTIO_MUTUAL}') +
      routes(`http:\n${HTTP_TO_443}\n${HTTP_OUT_443}`),
    says: /Write sni: www\.example\.com here/,
    change: [
      [
        'tls: {mode: ISTIO_MUTUAL}}\n---\napiVersion: networking.istio.io/v1\nkind: Virtual',
        `tls: ${MUTUAL}}\n---\napiVersion: networking.istio.io/v1\nkind: Virtual`,
      ],
    ],
    call: CALL,
    was: /closed > fails with 503$/,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'mutual TLS to a server of plain HTTP',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(`- {port: {number: 443, name: mutual, protocol: HTTP}, hosts: [${HOST}]}`) +
      toGateway(MUTUAL) +
      routes(`http:\n${HTTP_TO_443}\n${HTTP_OUT_443}`),
    says: /Give the server protocol: HTTPS with tls: \{mode: ISTIO_MUTUAL\}/,
    change: [[`protocol: HTTP}, hosts: [${HOST}]}`, `protocol: HTTPS}, hosts: [${HOST}], tls: {mode: ISTIO_MUTUAL}}`]],
    call: CALL,
    was: /fails with 503$/,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: "an application's own TLS at a server of mutual TLS",
    text: REGISTRY_ONLY + entry(TLS) + gateway(MUTUAL_SERVER('TLS')) + routes(`tls:\n${TLS_TO_GATEWAY}\ntcp:\n${TCP_OUT}`),
    says: /a DestinationRule for \S+ with tls: \{mode: ISTIO_MUTUAL, sni: www\.example\.com\}/,
    add: toGateway(MUTUAL),
    call: TLS_CALL,
    was: /closed/,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1035',
    of: 'mutual TLS to a gateway that passes TLS on',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      gateway(TLS_SERVER) +
      toGateway(MUTUAL) +
      routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT.replace('port: 443}', `port: 443, sniHosts: [${HOST}]}`)}`),
    says: /a tcp rule there in place of the tls rule/,
    change: [
      ['mode: PASSTHROUGH', 'mode: ISTIO_MUTUAL'],
      [`\n  ${TCP_OUT.replace('port: 443}', `port: 443, sniHosts: [${HOST}]}`)}`, `\n  tcp:\n  ${TCP_OUT}`],
    ],
    call: TLS_CALL,
    was: /fails$/,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1014',
    of: 'requests in mutual TLS to a gateway that passes TLS on',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(TLS_SERVER) +
      toGateway(MUTUAL) +
      routes(`http:\n${HTTP_TO_443}\ntls:\n${TCP_OUT.replace('port: 443}', `port: 443, sniHosts: [${HOST}]}`)}`),
    says: /Let the gateway end it \(tls: \{mode: ISTIO_MUTUAL\} at the server\)/,
    change: [
      ['mode: PASSTHROUGH', 'mode: ISTIO_MUTUAL'],
      ['protocol: TLS}, hosts', 'protocol: HTTPS}, hosts'],
      [`tls:\n  ${TCP_OUT.replace('port: 443}', `port: 443, sniHosts: [${HOST}]}`)}`, HTTP_OUT_443],
    ],
    // Of its port 443, whose rule has gone.
    beside: ['SP1002'],
    call: CALL,
    was: /fails with 503$/,
    ends: THROUGH,
  },
  {
    code: 'SP1043',
    of: 'a Service of the cluster',
    text:
      core('Service', 'spec: {clusterIP: 10.96.1.5, selector: {app: ours}, ports: [{name: http-3306, port: 3306}]}', { name: 'ours' }) +
      pod('app'),
    says: /Name the port by another protocol \(tcp-…\)/,
    change: [['name: http-3306', 'name: tcp-3306']],
    call: 'tcp://203.0.113.9:3306',
    was: /PassthroughCluster > reaches 203\.0\.113\.9:3306 in bytes > fails$/,
    ends: /PassthroughCluster > reaches 203\.0\.113\.9:3306 in bytes$/,
  },
  {
    code: 'SP1043',
    of: 'a server that speaks first',
    text: REGISTRY_ONLY + entry(MYSQL),
    says: /Declare protocol: TCP, with addresses/,
    change: [
      [MYSQL, '{number: 3306, name: mysql, protocol: TCP}'],
      ['resolution: DNS', 'resolution: DNS\n  addresses: [203.0.113.33]'],
    ],
    call: `tcp://${HOST}:3306`,
    was: /fails$/,
    ends: /reaches www\.example\.com:3306 in bytes$/,
  },
  {
    code: 'SP1017',
    of: 'a VirtualService that the gateway does not see',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      gateway(HTTP_SERVER) +
      routes(`exportTo: [default]\nhttp:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`) +
      pod('app'),
    says: /is not exported: .* Add istio-system to its exportTo/,
    change: [['exportTo: [default]', 'exportTo: [default, istio-system]']],
    call: `${CALL} --from default/app`,
    was: /answered 404$/,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'a host that the rule writes',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      entry(HTTP, '', { name: 'old' }, 'old.example.com') +
      gateway(HTTP_SERVER.replace(HOST, 'old.example.com')) +
      routes(`http:\n${HTTP_TO_GATEWAY.slice(0, -1)}, ${AS_WWW}}\n${HTTP_OUT}`, { name: 'old' }, 'old.example.com'),
    says: /it can be written at the gateway as well/,
    change: [
      [`, ${AS_WWW}}`, '}'],
      [HTTP_OUT, `${HTTP_OUT.slice(0, -1)}, ${AS_WWW}}`],
    ],
    call: 'http://old.example.com/',
    was: /answered 404$/,
    ends: THROUGH,
  },
  {
    code: 'SP1017',
    of: 'a server for sidecars of other clusters',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      gateway(TLS_SERVER.replace('PASSTHROUGH', 'AUTO_PASSTHROUGH')) +
      routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`),
    says: /write tls: \{mode: PASSTHROUGH\} at the server, and a tls rule/,
    change: [['AUTO_PASSTHROUGH', 'PASSTHROUGH']],
    call: TLS_CALL,
    was: /closed/,
    ends: TLS_THROUGH,
  },
  {
    code: 'IST0132',
    of: 'a host that a Gateway keeps to a namespace',
    text: STANDARD.replace(`hosts: [${HOST}]}`, `hosts: ["./${HOST}"]}`),
    says: /Write default\/www\.example\.com at the Gateway/,
    change: [[`"./${HOST}"`, `"default/${HOST}"`]],
    call: CALL,
    was: /answered 404$/,
    ends: THROUGH,
  },
  {
    code: 'IST0145',
    of: 'servers of one Gateway',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      entry('{number: 6379, name: tcp, protocol: TCP}', 'addresses: [203.0.113.7]', { name: 'cache' }, 'cache.example.com') +
      gateway(`${HTTP_SERVER}\n- {port: {number: 80, name: tcp, protocol: TCP}, hosts: [cache.example.com]}`) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`) +
      routes(
        `tcp:\n- {match: [{gateways: [mesh], port: 6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}\n- {match: [{gateways: [istio-system/out], port: 80}], route: [{destination: {host: cache.example.com, port: {number: 6379}}}]}`,
        { name: 'cache' },
        'cache.example.com',
      ),
    says: /Give this server a port of the gateway of its own/,
    change: [
      ['{number: 80, name: tcp', '{number: 443, name: tcp'],
      [
        `6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}`,
        `6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 443}`,
      ],
      ['port: 80}], route: [{destination: {host: cache', 'port: 443}], route: [{destination: {host: cache'],
    ],
    call: 'tcp://cache.example.com:6379',
    was: /answered 400$/,
    ends: /egress\S* outbound\|6379\|\|cache\.example\.com > reaches cache\.example\.com:6379 in bytes$/,
  },
  {
    code: 'SP1008',
    of: 'copies',
    text: STANDARD.replace(HTTP_TO_GATEWAY, `${HTTP_TO_GATEWAY.slice(0, -1)}, ${MIRROR}}`) + COPY,
    says: /move the mirror to the rule that holds there/,
    change: [
      [`, ${MIRROR}}`, '}'],
      [HTTP_OUT, `${HTTP_OUT.slice(0, -1)}, ${MIRROR}}`],
    ],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1010',
    of: 'UDP',
    text: REGISTRY_ONLY + entry(`${HTTP}, {number: 123, name: ntp, protocol: UDP}`),
    says: /take the port out here/,
    change: [[', {number: 123, name: ntp, protocol: UDP}', '']],
  },
  {
    code: 'SP1029',
    of: 'a distribution',
    text:
      REGISTRY_ONLY +
      entry(HTTP, 'endpoints: [{address: one.example.com}]') +
      istio(
        'DestinationRule',
        `host: ${HOST}\ntrafficPolicy: {loadBalancer: {localityLbSetting: {enabled: true, distribute: [{from: "*", to: {"eu/*": 100}}]}}}`,
      ),
    says: /Write the locality of its endpoints \(locality: eu\)/,
    change: [['{address: one.example.com}', '{address: one.example.com, locality: eu}']],
    call: CALL,
    was: /answered 503$/,
    ends: /reaches one\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1047',
    of: 'a server that passes TLS on',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      pod('web') +
      gateway(TLS_SERVER) +
      routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`) +
      security(
        'AuthorizationPolicy',
        'selector: {matchLabels: {istio: egressgateway}}\naction: ALLOW\nrules: [{from: [{source: {namespaces: [default]}}]}]',
        { namespace: 'istio-system' },
      ),
    says: /\(protocol TLS, and tcp rules there in place of the tls rules\)/,
    change: [
      ['mode: PASSTHROUGH', 'mode: ISTIO_MUTUAL'],
      [`\n  ${TLS_OUT}`, `\n  tcp:\n  ${TCP_OUT}`],
    ],
    add: toGateway(MUTUAL),
    call: `${TLS_CALL} --from default/web`,
    was: /closed/,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1054',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      entry(TLS, '', { name: 'api' }, 'api.example.com') +
      routes(
        `hosts: [${HOST}, api.example.com]\ngateways: [mesh]\ntls:\n- {match: [{sniHosts: [${HOST}, api.example.com]}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`,
      ),
    says: /Give api\.example\.com a rule of its own, with its name in sniHosts/,
    change: [
      [
        `- {match: [{sniHosts: [${HOST}, api.example.com]}]`,
        `- {match: [{sniHosts: [api.example.com]}], route: [{destination: {host: api.example.com, port: {number: 443}}}]}\n  - {match: [{sniHosts: [${HOST}]}]`,
      ],
    ],
    call: 'https://api.example.com/',
    was: /reaches www\.example\.com:443/,
    ends: /reaches api\.example\.com:443 in TLS api\.example\.com$/,
  },
  {
    code: 'SP1055',
    text: REGISTRY_ONLY + entry(HTTP) + istio('Sidecar', 'outboundTrafficPolicy: {mode: ALLOW_ANY}', { name: 'open' }),
    says: /write mode: REGISTRY_ONLY/,
    change: [['{mode: ALLOW_ANY}', '{mode: REGISTRY_ONLY}']],
    call: 'https://other.example.net/',
    was: /PassthroughCluster > reaches/,
    ends: /closed$/,
  },
  {
    code: 'SP1056',
    text: UPGRADED + entry(HTTP),
    says: /Write a DestinationRule for www\.example\.com with connectionPool: \{http: \{h2UpgradePolicy: DO_NOT_UPGRADE\}\}/,
    add: istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}`),
    call: CALL,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1056',
    of: 'a server that speaks it',
    text: UPGRADED + entry(HTTP),
    says: /or declare the port HTTP2 if the server speaks it/,
    change: [['protocol: HTTP}', 'protocol: HTTP2}']],
  },
  {
    code: 'IST0174',
    of: 'a host without a dot',
    text:
      REGISTRY_ONLY +
      entry('{number: 80, name: http, protocol: HTTP, targetPort: 443}', '', {}, 'pay') +
      istio(
        'DestinationRule',
        'host: pay\ntrafficPolicy: {tls: {mode: SIMPLE, sni: www.example.com, subjectAltNames: [www.example.com], caCertificates: system}}',
      ),
    says: /Give the host a name with a dot, in the ServiceEntry and here/,
    change: [
      ['hosts: ["pay"]', 'hosts: ["pay.example"]'],
      ['host: pay\n', 'host: pay.example\n'],
    ],
    call: 'http://pay.example/',
    ends: /reaches pay\.example:443 in TLS www\.example\.com$/,
  },
  {
    code: 'SP1057',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      gateway(TLS_SERVER) +
      routes(`tls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`) +
      atGateway('ALLOW', `- {to: [{operation: {hosts: [${HOST}]}}]}`),
    says: /Add a rule that holds for them: \{when: \[\{key: connection\.sni, values: \[www\.example\.com\]\}\]\}/,
    change: [['rules:\n', `rules:\n  - {when: [{key: connection.sni, values: [${HOST}]}]}\n`]],
    call: TLS_CALL,
    was: /closed$/,
    ends: TLS_THROUGH,
  },
  ...(['ALLOW', 'DENY'] as const).map(
    (action): Mend => ({
      code: 'SP1058',
      of: action,
      text:
        REGISTRY_ONLY +
        entry(HTTP.replace('80', '8080')) +
        gateway(HTTP_SERVER) +
        routes(`http:\n${HTTP_TO_GATEWAY.replace('port: 80}', 'port: 8080}')}\n${HTTP_OUT.replace('{number: 80}', '{number: 8080}')}`) +
        atGateway(action, `- {to: [{operation: {hosts: [${HOST}], ports: ["8080"]}}]}`),
      says: /Add "www\.example\.com:\*"/,
      change: [[`hosts: [${HOST}], ports`, `hosts: [${HOST}, "${HOST}:*"], ports`]],
      call: `http://${HOST}:8080/`,
      was: action === 'ALLOW' ? /answered 403$/ : /reaches www\.example\.com:8080 in HTTP$/,
      ends: action === 'ALLOW' ? /reaches www\.example\.com:8080 in HTTP$/ : /answered 403$/,
    }),
  ),
];
