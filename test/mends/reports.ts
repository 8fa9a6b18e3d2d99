/** What public reports asked for: TLS on the way to a gateway, delegates, servers that speak first. */
import {
  core,
  entry,
  GATEWAY_HOST,
  gateway,
  HOST,
  HTTP,
  HTTP_OUT,
  HTTP_TO_GATEWAY,
  istio,
  pod,
  REGISTRY_ONLY,
  routes,
  THROUGH,
  TLS,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
} from './documents.ts';
import type { Mend } from './mend.ts';

const CALL = `http://${HOST}/`;
const TLS_CALL = `https://${HOST}/`;
const MUTUAL_SERVER = (protocol: string) =>
  `- {port: {number: 443, name: mutual, protocol: ${protocol}}, hosts: [${HOST}], tls: {mode: ISTIO_MUTUAL}}`;
const toGateway = (tls: string) =>
  istio('DestinationRule', `host: ${GATEWAY_HOST}\ntrafficPolicy: {tls: ${tls}}`, { name: 'to-gateway', namespace: 'istio-system' });
const MUTUAL = `{mode: ISTIO_MUTUAL, sni: ${HOST}}`;
const HTTP_TO_443 = HTTP_TO_GATEWAY.replace('port: {number: 80}', 'port: {number: 443}');
const HTTP_OUT_443 = HTTP_OUT.replace('port: 80}', 'port: 443}');
const TCP_OUT = `- {match: [{gateways: [istio-system/out], port: 443}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`;
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
];
