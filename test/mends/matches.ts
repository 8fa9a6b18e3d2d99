/** Matches of http rules that nothing meets, and rules that delegate. */
import {
  CALL,
  DIRECT,
  direct,
  entry,
  GATEWAY_HOST,
  gateway,
  HOST,
  HTTP,
  HTTP_ALT,
  istio,
  NOT_THROUGH,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  STRAIGHT,
  THROUGH,
  TLS,
  TLS_CALL,
  tcpServer,
  to,
} from './documents.ts';
import type { Mend } from './mend.ts';

/** One rule for the host, with one match. */
const only = (match: string, ports = HTTP) => REGISTRY_ONLY + entry(ports) + direct(`- {match: [${match}], ${to()}}`);
const leaf = (match: string, spec = '') =>
  istio('VirtualService', `${spec}http:\n- {match: ${match}, route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}`, {
    name: 'leaf',
  });
const ROOT = STANDARD.replace(
  /- \{match: \[\{gateways: \[mesh\].*/,
  '- {match: [{gateways: [mesh], uri: {prefix: /}}], delegate: {name: leaf}}',
);

/** A host of bytes whose rules tell it by its address, at the gateway too. */
const byAddress = (name: string, address: string) =>
  entry('{number: 6379, name: tcp, protocol: TCP}', `addresses: [${address}]`, { name }, `${name}.example.com`) +
  routes(
    `tcp:\n- {match: [{gateways: [mesh], port: 6379}], route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 6379}}}]}  # ${name}\n- {match: [{gateways: [istio-system/out], port: 6379, destinationSubnets: [${address}]}], route: [{destination: {host: ${name}.example.com, port: {number: 6379}}}]}`,
    { name },
    `${name}.example.com`,
  );

export const MATCH_MENDS: readonly Mend[] = [
  {
    code: 'SP1063',
    of: 'a query',
    text: only(`{uri: {exact: '/find?q=1'}}`),
    says: /none holds \?q=1\. Match it with queryParams/,
    change: [[`exact: '/find?q=1'}`, `exact: /find}, queryParams: {q: {exact: "1"}}`]],
    call: `${CALL}find?q=1`,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1063',
    of: 'a path without a slash',
    text: only('{uri: {prefix: v1}}'),
    says: /Write \/v1\.$/,
    change: [['prefix: v1', 'prefix: /v1']],
    call: `${CALL}v1/a`,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1063',
    of: 'an expression as in JavaScript',
    text: only(String.raw`{uri: {regex: '/\/v1\/.*/i'}}`),
    says: /Write the expression alone, and \(\?i\) before it/,
    change: [[String.raw`'/\/v1\/.*/i'`, String.raw`'(?i)\/v1\/.*'`]],
    call: `${CALL}V1/a`,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1063',
    of: 'a method',
    text: only('{method: {exact: get}}'),
    says: /Write GET\.$/,
    change: [['exact: get', 'exact: GET']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1063',
    of: 'a host without its port',
    text: only(`{port: 8080, authority: {exact: ${HOST}}}`, HTTP_ALT).replaceAll('port: {number: 80}', 'port: {number: 8080}'),
    says: /Write www\.example\.com:8080\.$/,
    change: [[`exact: ${HOST}`, `exact: "${HOST}:8080"`]],
    call: `http://${HOST}:8080/`,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'SP1063',
    of: 'a delegate',
    text: ROOT.replace('uri: {prefix: /}', 'uri: {prefix: /v1}') + leaf('[{uri: {prefix: /v2}}]'),
    says: /Write a match that lies within the root's/,
    change: [['prefix: /v2', 'prefix: /v1/a']],
    call: `${CALL}v1/a`,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'a delegate that is not there',
    text: ROOT.replace('name: leaf', 'name: laef') + leaf('[]'),
    says: /no VirtualService default\/laef to delegate to\. Did you mean leaf\?/,
    change: [['name: laef', 'name: leaf']],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'the only rule on the mesh, which delegates to nothing',
    text: ROOT,
    says: /Create it, or correct the name\. Until then this rule is left out, and its calls go as if there were no rules for the host, straight to it/,
    add: leaf('[]'),
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'a delegate with hosts',
    text: ROOT + leaf('[]', `hosts: [orders.shop.internal]\n`),
    says: /Take its hosts and gateways out/,
    change: [['hosts: [orders.shop.internal]\n  ', '']],
    call: CALL,
    was: STRAIGHT,
    ends: THROUGH,
  },
  {
    code: 'SP1010',
    of: 'addresses at a gateway',
    text: REGISTRY_ONLY + gateway(tcpServer('"*"')) + ['one', 'two'].map((name, i) => byAddress(name, `192.0.2.${i + 1}`)).join(''),
    says: /rule takes every connection to the port\. Write it in a rule for mesh, and give each host a port of the gateway of its own/,
    change: [
      [tcpServer('"*"'), `${tcpServer('"*"')}\n  ${tcpServer('"*"', 6380)}`],
      ['port: 6379, destinationSubnets: [192.0.2.1]', 'port: 6379'],
      ['port: 6379, destinationSubnets: [192.0.2.2]', 'port: 6380'],
      ['port: {number: 6379}}}]}  # two', 'port: {number: 6380}}}]}'],
    ],
    call: 'tcp://192.0.2.2:6379',
    was: /reaches one\.example\.com:6379 in bytes$/,
    ends: /reaches two\.example\.com:6379 in bytes$/,
  },
  {
    code: 'SP1010',
    of: 'a fault for no call',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- {fault: {abort: {httpStatus: 418}}, ${to()}}`),
    says: /e\.g\. percentage: \{value: 100\}/,
    change: [['httpStatus: 418', 'httpStatus: 418, percentage: {value: 100}']],
    call: CALL,
    was: DIRECT,
    ends: /answered 418$/,
  },
  {
    code: 'SP1010',
    of: 'an attempt that takes as long as the whole',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- {timeout: 2s, retries: {attempts: 2, perTryTimeout: 5s}, ${to()}}`),
    says: /Write less than timeout/,
    change: [['perTryTimeout: 5s', 'perTryTimeout: 0.5s']],
  },
  {
    code: 'SP1010',
    of: 'what is said of requests at a host of TLS',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}`),
    says: /or take the setting out \(useSourceIp: true is for connections, too\)/,
    change: [['httpHeaderName: x-user', 'useSourceIp: true']],
  },
  {
    code: 'SP1066',
    text: REGISTRY_ONLY + entry(`${TLS}, ${HTTP}`) + routes(`gateways: [mesh]\ntls:\n- {match: [{sniHosts: [${HOST}]}], ${to()}}`),
    says: /Lead to a port of it that takes TLS/,
    change: [[to(), to(`{host: ${HOST}, port: {number: 443}}`)]],
    call: TLS_CALL,
    ends: /reaches www\.example\.com:443 in TLS www\.example\.com$/,
  },
  {
    code: 'SP1067',
    text: REGISTRY_ONLY + entry(HTTP, '', {}, `${HOST}.`),
    says: /Write www\.example\.com: of HTTP it stands for both/,
    change: [[`${HOST}.`, HOST]],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
];
