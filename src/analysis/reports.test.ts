/** Findings that public reports asked for, and the nearest configuration that is right; what mends them is in `test/mends/reports.ts`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  core,
  EGRESS,
  entry,
  GATEWAY_HOST,
  gateway,
  HOST,
  HTTP,
  HTTP_OUT,
  HTTP_SERVER,
  HTTP_TO_GATEWAY,
  istio,
  REGISTRY_ONLY,
  routes,
  security,
  TLS,
  TLS_EGRESS,
  TLS_TO_GATEWAY,
} from '../../test/mends/documents.ts';
import { testPairs } from '../../test/support/findings.ts';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { codesOf, findingsIn, findingsOf } from './testing.ts';

const toGateway = (tls: string) =>
  istio('DestinationRule', `host: ${GATEWAY_HOST}\ntrafficPolicy: {tls: ${tls}}`, { name: 'to-gateway', namespace: 'istio-system' });
const server = (protocol: string, hosts: string, more = '') =>
  `- {port: {number: 443, name: s, protocol: ${protocol}}, hosts: [${hosts}]${more}}`;
const ENDS_MUTUAL = ', tls: {mode: ISTIO_MUTUAL}';
const HTTP_TO_443 = `http:\n${HTTP_TO_GATEWAY.replace('port: {number: 80}', 'port: {number: 443}')}\n${HTTP_OUT.replace('port: 80}', 'port: 443}')}`;
const TO_443 = '{number: 80, name: http, protocol: HTTP, targetPort: 443}';
const TCP_OUT = `tcp:\n- {match: [{gateways: [istio-system/out], port: 443}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`;
const NAMED = `{mode: ISTIO_MUTUAL, sni: ${HOST}}`;
const mutual = (protocol: string, hosts = HOST) => REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + gateway(server(protocol, hosts, ENDS_MUTUAL));

test('nothing is said of what an object does that names no host, or is not in force', () => {
  const misspelt =
    istio('DestinationRule', 'hst: www.example.com\ntrafficPolicy: {tls: {mode: SIMPLE}}') +
    istio('VirtualService', 'hots: [www.example.com]\nhttp: [{route: [{destination: {hst: www.example.com}}]}]') +
    istio('VirtualService', 'hosts: [www.example.com]\nhttp: [{route: [{destination: {hst: www.example.com}}]}]', { name: 'led' }) +
    istio('ServiceEntry', 'hots: [www.example.com]\nports: [{number: 6379, name: tcp, protocol: TCP}]') +
    istio('ServiceEntry', 'hosts: [www.example.com]\nports: [{number: 6379, name: tcp, protcol: TCP}]', { name: 'open' }) +
    istio('Gateway', "selctor: {istio: egressgateway}\nservers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]") +
    istio('Sidecar', "egress: [{hots: ['./*']}]");
  assert.deepEqual(
    codesOf(misspelt).filter((code) => code !== 'IST0106' && code !== 'SP0008'),
    ['SP1022'],
  );
});

describe('TLS on the way to a gateway', () => {
  testPairs({
    'SP1017 of mutual TLS whose server name no server has': {
      wrong: mutual('HTTPS') + toGateway('{mode: ISTIO_MUTUAL}') + routes(HTTP_TO_443),
      right: mutual('HTTPS') + toGateway(NAMED) + routes(HTTP_TO_443),
    },
    'SP1017 of mutual TLS with the server name of another host': {
      wrong: mutual('HTTPS') + toGateway('{mode: ISTIO_MUTUAL, sni: api.example.com}') + routes(HTTP_TO_443),
      right: mutual('HTTPS', '"*"') + toGateway('{mode: ISTIO_MUTUAL, sni: api.example.com}') + routes(HTTP_TO_443),
    },
    'SP1017 of TLS to a server of plain HTTP': {
      wrong: REGISTRY_ONLY + entry(HTTP) + toGateway(NAMED) + EGRESS,
      right: REGISTRY_ONLY + entry(HTTP) + toGateway('{mode: DISABLE}') + EGRESS,
    },
    'SP1017 of TLS where one server of several takes it': {
      wrong: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + gateway(server('HTTP', HOST)) + toGateway(NAMED) + routes(HTTP_TO_443),
      right:
        REGISTRY_ONLY +
        entry(`${HTTP}, ${TLS}`) +
        gateway(server('HTTP', HOST)) +
        gateway(server('HTTPS', HOST, ENDS_MUTUAL), { name: 'other' }) +
        toGateway(NAMED) +
        routes(HTTP_TO_443),
    },
    'SP1017 of bytes to a server of mutual TLS': {
      wrong: mutual('TLS') + routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT}`),
      right: mutual('TLS') + toGateway(NAMED) + routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT}`),
    },
    'SP1035 of mutual TLS that one server of several ends': {
      wrong: REGISTRY_ONLY + entry(TLS) + toGateway(NAMED) + TLS_EGRESS,
      right: REGISTRY_ONLY + entry(TLS) + toGateway(NAMED) + gateway(server('TLS', HOST, ENDS_MUTUAL), { name: 'other' }) + TLS_EGRESS,
    },
    'SP1035 of mutual TLS around TLS that a gateway passes on': {
      wrong: REGISTRY_ONLY + entry(TLS) + toGateway(NAMED) + TLS_EGRESS,
      right: mutual('TLS') + toGateway(NAMED) + routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT}`),
    },
  });

  test('TLS that sidecars originate, and that the gateway passes on to the server, is no finding', () => {
    const text =
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(server('TLS', HOST, ', tls: {mode: PASSTHROUGH}')) +
      toGateway(`{mode: SIMPLE, sni: ${HOST}, caCertificates: system}`) +
      routes(
        `http:\n${HTTP_TO_GATEWAY.replace('port: {number: 80}', 'port: {number: 443}')}\ntls:\n- {match: [{gateways: [istio-system/out], port: 443, sniHosts: [${HOST}]}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`,
      );
    const codes = codesOf(text);
    for (const code of ['SP1014', 'SP1017', 'SP1035', 'SP1037']) assert.ok(!codes.includes(code as 'SP1014'), code);
  });
});

describe('delegates', () => {
  const LEAF = istio('VirtualService', `http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT}`, { name: 'leaf' });
  const root = (more = '') => routes(`${more}http:\n- match: [{uri: {prefix: /}}]\n  delegate: {name: leaf}`, { name: 'root' });

  test('whose matches name gateways are bound to those of their roots', () => {
    assert.deepEqual(codesOf(REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + LEAF + root()), []);
  });

  test('that lead the gateway back to itself are found at the rule that delegates', () => {
    const back = LEAF.replace(HTTP_OUT, HTTP_OUT.replace(`host: ${HOST}`, `host: ${GATEWAY_HOST}`));
    const text = REGISTRY_ONLY + entry(HTTP) + gateway(HTTP_SERVER) + back + root();
    const loop = findingsOf(text).find(({ code }) => code === 'SP1015');
    assert.equal(text.split('\n')[loop!.position!.line - 1]!.trim(), '- match: [{uri: {prefix: /}}]');
  });
});

describe('servers that speak first', () => {
  const port = (protocol: string, number = 3306) => `{number: ${number}, name: p, protocol: ${protocol}}`;
  const service = (name: string) => core('Service', `spec: {selector: {app: a}, ports: [{name: ${name}, port: 3306}]}`, { name: 'a' });
  testPairs({
    'SP1043 of HTTP': { wrong: entry(port('HTTP')), right: entry(port('TCP'), 'addresses: [203.0.113.9]') },
    'SP1043 of no protocol': { wrong: entry(port('""')), right: entry(port('""', 3307)) },
    'SP1043 of HTTP where the client speaks first': { wrong: entry(port('HTTP', 22)), right: entry(port('HTTP', 389)) },
    'SP1043 of a Service': { wrong: service('http'), right: service('mysql') },
    // Istio takes well-known ports of Services without a protocol for TCP.
    'SP1043 of a Service without a protocol': { wrong: service('grpc-web'), right: service('db') },
  });
});

describe('rules and policies', () => {
  const API = 'api.example.com';
  const both = entry(TLS) + entry(TLS, '', { name: 'api' }, API);
  const rule = (names: string, to: string) =>
    `- {match: [{sniHosts: [${names}]}], route: [{destination: {host: ${to}, port: {number: 443}}}]}`;
  const tls = (...rules: string[]) => routes(`hosts: [${HOST}, ${API}]\ngateways: [mesh]\ntls:\n${rules.join('\n')}`);
  const policy = (more: string) => istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {${more}}`);
  const shares = (from: string) => `loadBalancer: {localityLbSetting: {enabled: true, distribute: [{from: ${from}, to: {"eu/*": 100}}]}}`;
  const mirrored = (to: string) =>
    EGRESS.replace(HTTP_TO_GATEWAY, `${HTTP_TO_GATEWAY.slice(0, -1)}, mirror: {host: ${to}, port: {number: 80}}}`);
  const BY_HOST = `[{to: [{operation: {hosts: [${HOST}]}}]}]`;
  const allow = (rules: string, name = 'hosts') =>
    security('AuthorizationPolicy', `selector: {matchLabels: {istio: egressgateway}}\nrules: ${rules}`, {
      name,
      namespace: 'istio-system',
    });
  const open = istio('Sidecar', 'outboundTrafficPolicy: {mode: ALLOW_ANY}', { name: 'open' });
  const twice = (a: string, b: string) =>
    gateway(
      `- {port: {number: 443, name: a, ${a}}, hosts: [a.example.com]}\n- {port: {number: 443, name: b, ${b}, hosts: [b.example.com]}`,
    );
  testPairs({
    'SP1054 of a rule for two hosts': {
      wrong: both + tls(rule(`${HOST}, ${API}`, HOST)),
      right: both + tls(rule(API, API), rule(`${HOST}, ${API}`, HOST)),
    },
    'SP1054 of hosts of which both are declared': {
      wrong: both + tls(rule(`${HOST}, ${API}`, HOST)),
      right: entry(TLS) + tls(rule(`${HOST}, ${API}`, HOST)),
    },
    'SP1029 of all callers': {
      wrong: entry(HTTP, 'endpoints: [{address: a.example.com, locality: us/one}]') + policy(shares('"*"')),
      right: entry(HTTP, 'endpoints: [{address: a.example.com, locality: eu/one}]') + policy(shares('"*"')),
    },
    'SP1029 of callers whose place is not in the files': {
      wrong: entry(HTTP, 'endpoints: [{address: a.example.com}]') + policy(shares('"*"')),
      right: entry(HTTP, 'endpoints: [{address: a.example.com}]') + policy(shares('us/*')),
    },
    'SP1008 of copies to the outside': {
      wrong: entry(HTTP) + entry(HTTP, '', { name: 'api' }, API) + mirrored(API),
      right:
        entry(HTTP) +
        core('Service', 'spec: {ports: [{name: http, port: 80}]}', { name: 'api' }) +
        mirrored('api.default.svc.cluster.local'),
    },
    'SP1057 of a gateway that passes TLS on': {
      wrong: TLS_EGRESS + allow(BY_HOST),
      right: TLS_EGRESS + allow(BY_HOST) + allow('[{when: [{key: connection.sni, values: [a.example.com]}]}]', 'names'),
    },
    'SP1057 of a server of requests': { wrong: TLS_EGRESS + allow(BY_HOST), right: EGRESS + allow(BY_HOST) },
    'SP1058 of a port that clients name': {
      wrong: entry(HTTP.replace('80', '8080')) + EGRESS + allow(BY_HOST),
      right: entry(HTTP) + EGRESS + allow(BY_HOST),
    },
    'IST0145 of two servers of a Gateway': {
      wrong: twice('protocol: HTTP', 'protocol: TCP}'),
      right: twice('protocol: HTTP', 'protocol: TLS}, tls: {mode: PASSTHROUGH}'),
    },
    'SP1028 of a VirtualService that is no delegate': {
      wrong: entry(HTTP) + gateway(HTTP_SERVER) + routes(`gateways: [mesh]\nhttp:\n${HTTP_OUT}`),
      right: entry(HTTP) + gateway(HTTP_SERVER) + istio('VirtualService', `http:\n${HTTP_OUT}`),
    },
  });

  test('a targetPort counts beside resolution NONE, too', () => {
    const to443 = entry(TO_443, 'resolution: NONE');
    assert.deepEqual(
      codesOf(
        to443 + policy(`tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: /etc/ssl/certs/ca-certificates.crt}`),
      ),
      [],
    );
    assert.ok(codesOf(to443).includes('SP1036'));
  });

  test('SP1013: names of the ServiceEntry are verified where the rule has none', () => {
    const named = policy(`tls: {mode: SIMPLE, sni: ${HOST}, caCertificates: system}`);
    assert.ok(codesOf(entry(TO_443) + named).includes('SP1013'));
    assert.ok(!codesOf(entry(TO_443, `subjectAltNames: [${HOST}]`) + named).includes('SP1013'));
    assert.ok(!codesOf(entry(TO_443) + policy('tls: {mode: SIMPLE, caCertificates: system}')).includes('SP1013'));
  });

  test('SP1056: what the mesh upgrades on the way out', () => {
    const upgraded = (text: string, h2UpgradePolicy: 'UPGRADE' | 'DO_NOT_UPGRADE' = 'UPGRADE') =>
      findingsIn(snapshotFromText(text), {}, { ...defaultMeshConfig(), h2UpgradePolicy }).some(({ code }) => code === 'SP1056');
    assert.ok(upgraded(entry(HTTP)));
    assert.ok(upgraded(entry(HTTP) + policy('connectionPool: {http: {maxRetries: 3}}')));
    assert.ok(!upgraded(entry(HTTP), 'DO_NOT_UPGRADE'));
    assert.ok(!upgraded(entry(HTTP.replace('protocol: HTTP', 'protocol: HTTP2'))));
    assert.ok(!upgraded(entry(HTTP, 'location: MESH_INTERNAL')));
    assert.ok(!upgraded(entry(HTTP) + policy(`tls: {mode: SIMPLE, sni: ${HOST}}`)));
    for (const own of ['UPGRADE', 'DO_NOT_UPGRADE'])
      assert.ok(!upgraded(entry(HTTP) + policy(`connectionPool: {http: {h2UpgradePolicy: ${own}}}`)), own);
  });

  test('SP1055: a Sidecar that opens what the mesh closes', () => {
    const opens = (sidecar: string, mode: 'REGISTRY_ONLY' | 'ALLOW_ANY') => {
      const mesh = { ...defaultMeshConfig(), outboundTrafficPolicy: { mode } };
      return findingsIn(snapshotFromText(entry(HTTP) + sidecar), {}, mesh).some(({ code }) => code === 'SP1055');
    };
    assert.ok(opens(open, 'REGISTRY_ONLY'));
    assert.ok(!opens(open, 'ALLOW_ANY'));
    assert.ok(!opens(open.replace('ALLOW_ANY', 'REGISTRY_ONLY'), 'REGISTRY_ONLY'));
    assert.ok(!opens(open.replace('ALLOW_ANY', `ALLOW_ANY, egressProxy: {host: ${HOST}, port: {number: 80}}`), 'REGISTRY_ONLY'));
  });

  test('an entry that is not in force conflicts with nothing', () => {
    const codes = codesOf(entry(`${HTTP}, {number: 80, name: tls, protocol: TLS}`));
    assert.ok(codes.includes('IST0106') && !codes.includes('IST0177'), codes.join());
  });
});
