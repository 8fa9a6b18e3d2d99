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
  TLS,
  TLS_EGRESS,
  TLS_TO_GATEWAY,
} from '../../test/mends/documents.ts';
import { testPairs } from '../../test/support/findings.ts';
import { codesOf, findingsOf } from './testing.ts';

const toGateway = (tls: string) =>
  istio('DestinationRule', `host: ${GATEWAY_HOST}\ntrafficPolicy: {tls: ${tls}}`, { name: 'to-gateway', namespace: 'istio-system' });
const server = (protocol: string, hosts: string, more = '') =>
  `- {port: {number: 443, name: s, protocol: ${protocol}}, hosts: [${hosts}]${more}}`;
const ENDS_MUTUAL = ', tls: {mode: ISTIO_MUTUAL}';
const HTTP_TO_443 = `http:\n${HTTP_TO_GATEWAY.replace('port: {number: 80}', 'port: {number: 443}')}\n${HTTP_OUT.replace('port: 80}', 'port: 443}')}`;
const TCP_OUT = `tcp:\n- {match: [{gateways: [istio-system/out], port: 443}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`;
const NAMED = `{mode: ISTIO_MUTUAL, sni: ${HOST}}`;
const mutual = (protocol: string, hosts = HOST) => REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + gateway(server(protocol, hosts, ENDS_MUTUAL));

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
    'SP1017 of bytes to a server of mutual TLS': {
      wrong: mutual('TLS') + routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT}`),
      right: mutual('TLS') + toGateway(NAMED) + routes(`tls:\n${TLS_TO_GATEWAY}\n${TCP_OUT}`),
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
