/** Objects that are in each other's way, and hosts that are declared wrongly. */
import {
  APP_ONE,
  CALL,
  direct,
  entry,
  GATEWAY_HOST,
  HOST,
  HTTP,
  HTTP_ALT,
  HTTP_TO_GATEWAY,
  NOT_THROUGH,
  pod,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  sidecar,
  staticEntry,
  THROUGH,
  TLS,
  to,
} from './documents.ts';
import type { Mend } from './mend.ts';

const DIRECT = /^default\/\S+ outbound\|80\|\|www\.example\.com > reaches www\.example\.com:80 in HTTP$/;
const REDIS = '{number: 6379, name: tcp, protocol: TCP}';
export const CONFLICT_MENDS: readonly Mend[] = [
  {
    code: 'IST0109',
    text:
      STANDARD +
      routes(
        `gateways: [mesh]\nhttp:\n- {match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}`,
        { name: 'second' },
      ),
    says: /Merge them into one VirtualService/,
    change: [
      [
        routes(
          `gateways: [mesh]\nhttp:\n- {match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}`,
          { name: 'second' },
        ),
        '',
      ],
      [
        HTTP_TO_GATEWAY,
        `- {match: [{gateways: [mesh], uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: ${GATEWAY_HOST}, port: {number: 80}}}]}\n  ${HTTP_TO_GATEWAY}`,
      ],
    ],
    call: `${CALL}a`,
    ends: THROUGH,
  },
  {
    code: 'IST0109',
    of: 'exportTo',
    text:
      REGISTRY_ONLY +
      pod('web') +
      pod('cart', 'shop', '{app: cart}', '10.0.0.2') +
      entry(HTTP) +
      direct(`- ${to()}`) +
      routes(`gateways: [mesh]\nhttp:\n- {timeout: 1s, ${to()}}`, { namespace: 'shop' }),
    says: /or keep them apart by exportTo/,
    change: [
      [direct(`- ${to()}`), direct(`- ${to()}`, 'exportTo: ["."]')],
      [`- {timeout: 1s, ${to()}}`, `- {timeout: 1s, ${to()}}\n  exportTo: ["."]`],
    ],
    call: `${CALL} --from shop/cart`,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'IST0130',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${HTTP_ALT}`) +
      direct(`- ${to()}\n- {match: [{uri: {exact: /ab}}], ${to(`{host: ${HOST}, port: {number: 8080}}`)}}`),
    says: /Move it before that rule/,
    change: [
      [`\n  - {match: [{uri: {exact: /ab}}], ${to(`{host: ${HOST}, port: {number: 8080}}`)}}`, ''],
      [`- ${to()}`, `- {match: [{uri: {exact: /ab}}], ${to(`{host: ${HOST}, port: {number: 8080}}`)}}\n  - ${to()}`],
    ],
    call: `${CALL}ab`,
    was: DIRECT,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'IST0131',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      direct(`- {match: [{uri: {prefix: /a}}], ${to()}}\n- {match: [{uri: {exact: /ab}}, {uri: {exact: /b}}], ${to()}}`),
    says: /Remove it/,
    change: [['{uri: {exact: /ab}}, ', '']],
    call: `${CALL}ab`,
    ends: DIRECT,
  },
  {
    code: 'IST0131',
    of: 'a match of the same rule',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- {match: [{uri: {prefix: /a}}, {uri: {exact: /ab}}], ${to()}}`),
    says: /or narrow the other/,
    change: [['{prefix: /a}', '{prefix: /a/}']],
    call: `${CALL}ab`,
    ends: DIRECT,
  },
  {
    code: 'IST0134',
    text: REGISTRY_ONLY + entry(REDIS),
    says: /State the service's addresses in spec\.addresses/,
    change: [[`[${REDIS}]`, `[${REDIS}]\n  addresses: [192.0.2.6]`]],
    call: 'tcp://192.0.2.6:6379',
    ends: /outbound\|6379\|\|www\.example\.com > reaches www\.example\.com:6379 in bytes$/,
  },
  {
    code: 'IST0134',
    of: 'another protocol',
    text: REGISTRY_ONLY + entry('{number: 80, name: tcp, protocol: TCP}'),
    says: /or set protocol to TLS or HTTP if it is/,
    change: [['protocol: TCP', 'protocol: HTTP']],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'IST0177',
    text: REGISTRY_ONLY + entry(HTTP) + entry('{number: 80, name: tls, protocol: TLS}', '', { namespace: 'other' }),
    says: /Give both the same protocol/,
    change: [['{number: 80, name: tls, protocol: TLS}', HTTP]],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP1011',
    text:
      REGISTRY_ONLY +
      entry(REDIS, 'addresses: [192.0.2.6]', { name: 'a' }, 'a.example.com') +
      entry(REDIS, 'addresses: [192.0.2.6]', { name: 'b' }, 'b.example.com'),
    says: /Give each its own addresses/,
    change: [
      [
        entry(REDIS, 'addresses: [192.0.2.6]', { name: 'b' }, 'b.example.com'),
        entry(REDIS, 'addresses: [192.0.2.7]', { name: 'b' }, 'b.example.com'),
      ],
    ],
    call: 'tcp://192.0.2.7:6379',
    ends: /outbound\|6379\|\|b\.example\.com > reaches b\.example\.com:6379/,
  },
  {
    code: 'SP1011',
    of: 'a port of its own',
    text:
      REGISTRY_ONLY +
      entry(REDIS, 'addresses: [192.0.2.6]', { name: 'a' }, 'a.example.com') +
      entry(REDIS, 'addresses: [192.0.2.6]', { name: 'b' }, 'b.example.com'),
    says: /or port/,
    change: [
      [
        entry(REDIS, 'addresses: [192.0.2.6]', { name: 'b' }, 'b.example.com'),
        entry(REDIS.replace('6379', '6380'), 'addresses: [192.0.2.6]', { name: 'b' }, 'b.example.com'),
      ],
    ],
    call: 'tcp://192.0.2.6:6380',
    ends: /outbound\|6380\|\|b\.example\.com > reaches b\.example\.com:6380/,
  },
  {
    code: 'SP1018',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + entry(TLS, '', { name: 'second' }),
    says: /Declare a port of a host in one object/,
    change: [[entry(TLS, '', { name: 'second' }), '']],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP1018',
    of: 'objects that are unlike',
    text: REGISTRY_ONLY + entry(HTTP) + entry(HTTP_ALT, 'exportTo: ["."]', { name: 'second' }),
    says: /Make them alike/,
    change: [['exportTo: ["."]', '']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1018',
    of: 'objects of which the older one is followed',
    text: REGISTRY_ONLY + entry(HTTP) + entry(HTTP_ALT, 'resolution: STATIC\nendpoints: [{address: 192.0.2.1}]', { name: 'second' }),
    says: /or one object/,
    change: [
      [entry(HTTP_ALT, 'resolution: STATIC\nendpoints: [{address: 192.0.2.1}]', { name: 'second' }), ''],
      [HTTP, `${HTTP}, ${HTTP_ALT}`],
    ],
    call: `http://${HOST}:8080/`,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'SP1029',
    text: REGISTRY_ONLY + staticEntry(''),
    says: /Add endpoints/,
    change: [['resolution: STATIC', 'resolution: STATIC\n  endpoints: [{address: 192.0.2.1}]']],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches 192\.0\.2\.1:80 in HTTP$/,
  },
  {
    code: 'SP1029',
    of: 'resolution DNS',
    text: REGISTRY_ONLY + staticEntry(''),
    says: /or use resolution DNS/,
    change: [['resolution: STATIC', 'resolution: DNS']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1040',
    text: REGISTRY_ONLY + entry(TLS, 'addresses: [192.0.2.0/24]\nresolution: NONE'),
    says: /Declare the port as TCP/,
    change: [['protocol: TLS', 'protocol: TCP']],
    call: 'https://192.0.2.7/',
    was: NOT_THROUGH,
    ends: /outbound\|443\|\|www\.example\.com > reaches 192\.0\.2\.7:443/,
  },
  {
    code: 'SP1040',
    of: 'single addresses',
    text: REGISTRY_ONLY + entry(TLS, 'addresses: [192.0.2.0/24]\nresolution: NONE'),
    says: /write single addresses \(\/32\)/,
    change: [['[192.0.2.0/24]', '[192.0.2.7/32]']],
    call: 'https://192.0.2.7/',
    was: NOT_THROUGH,
    ends: /outbound\|443\|\|www\.example\.com > reaches 192\.0\.2\.7:443/,
  },
  {
    code: 'SP1042',
    text: REGISTRY_ONLY + pod('web') + entry(HTTP) + entry(HTTP_ALT, '', { namespace: 'other' }),
    says: /Declare port 8080 here too/,
    change: [[`[${HTTP}]`, `[${HTTP}, ${HTTP_ALT}]`]],
    call: `http://${HOST}:8080/`,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'SP1042',
    of: 'exportTo',
    text: REGISTRY_ONLY + pod('web') + entry(HTTP) + entry(HTTP_ALT, '', { namespace: 'other' }),
    says: /or show default only one of the two \(exportTo\)/,
    change: [[entry(HTTP_ALT, '', { namespace: 'other' }), entry(HTTP_ALT, 'exportTo: ["."]', { namespace: 'other' })]],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'IST0110',
    text: pod('one') + sidecar('a', APP_ONE) + sidecar('b', APP_ONE),
    says: /Make the selectors disjoint/,
    change: [[sidecar('b', APP_ONE), sidecar('b', APP_ONE.replace('one', 'two')) + pod('two')]],
  },
  {
    code: 'IST0111',
    text: sidecar('a', '') + sidecar('b', ''),
    says: /Keep one/,
    change: [[sidecar('b', ''), '']],
  },
];
