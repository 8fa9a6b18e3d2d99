import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Protocol } from './model.ts';
import { isHttp, isHttp2, isTcp, isTls, kubernetesProtocol, parseProtocol } from './protocol.ts';

test('protocols are read in any case; what is unknown is to be sniffed', () => {
  assert.equal(parseProtocol('https'), 'HTTPS');
  assert.equal(parseProtocol('gRPC-Web'), 'GRPC-Web');
  assert.equal(parseProtocol('HTTP_PROXY'), 'HTTP');
  assert.equal(parseProtocol('constructor'), 'Unsupported');
  assert.equal(parseProtocol(undefined), 'Unsupported');
});

test('a Service port: UDP, then appProtocol, then the name up to its first dash', () => {
  const cases: [Parameters<typeof kubernetesProtocol>[0], string][] = [
    [{ port: 80, name: 'http' }, 'HTTP'],
    [{ port: 80, name: 'HTTP2-api' }, 'HTTP2'],
    [{ port: 80, name: 'grpc-web-api' }, 'GRPC-Web'],
    [{ port: 80, name: 'GRPC-Web-api' }, 'GRPC-Web'],
    [{ port: 80, name: 'httpx' }, 'Unsupported'],
    [{ port: 80, name: 'http', appProtocol: 'tcp' }, 'TCP'],
    [{ port: 80, name: 'x', appProtocol: 'kubernetes.io/h2c' }, 'HTTP2'],
    [{ port: 80, name: 'http', appProtocol: 'example.com/own' }, 'Unsupported'],
    [{ port: 80, name: 'tcp', appProtocol: 'http-own' }, 'HTTP'],
    [{ port: 80, name: 'tcp', appProtocol: 'Kubernetes.io/h2c' }, 'Unsupported'],
    [{ port: 3306, name: 'http', appProtocol: 'example.com/own' }, 'TCP'],
    [{ port: 53, name: 'dns', protocol: 'UDP' }, 'UDP'],
    [{ port: 3306, name: 'db' }, 'TCP'],
    [{ port: 3306, name: 'http' }, 'HTTP'],
  ];
  for (const [port, protocol] of cases) assert.equal(kubernetesProtocol(port), protocol, JSON.stringify(port));
});

test('what the proxy does with a protocol', () => {
  const kinds = (protocol: Protocol) =>
    Object.entries({ isHttp, isHttp2, isTls, isTcp })
      .filter(([, is]) => is(protocol))
      .map(([name]) => name)
      .join();
  const expected: Readonly<Record<Protocol, string>> = {
    HTTP: 'isHttp',
    HTTP2: 'isHttp,isHttp2',
    GRPC: 'isHttp,isHttp2',
    'GRPC-Web': 'isHttp,isHttp2',
    HTTPS: 'isTls',
    TLS: 'isTls',
    TCP: 'isTcp',
    Mongo: 'isTcp',
    MySQL: 'isTcp',
    Redis: 'isTcp',
    UDP: '',
    Unsupported: '',
  };
  for (const [protocol, what] of Object.entries(expected)) assert.equal(kinds(protocol as Protocol), what, protocol);
});

test('ports at which servers speak first are TCP, unless they say otherwise', () => {
  for (const port of [25, 53, 3306, 27017]) assert.equal(kubernetesProtocol({ port }), 'TCP', String(port));
  for (const port of [24, 26, 80, 3307, 27018]) assert.equal(kubernetesProtocol({ port }), 'Unsupported', String(port));
});
