import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entry, httpOf, listenerOf, ROUTER, SIDECAR, translated } from '../../../test/support/translated.ts';
import {
  HttpConnectionManager_ForwardClientCertDetails as Forward,
  HttpConnectionManager_PathWithEscapedSlashesAction as Slashes,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';

const outbound = (settings: Record<string, unknown> = {}) =>
  httpOf(listenerOf(translated(entry('a.example.com', ['80 HTTP']), SIDECAR, settings), '0.0.0.0_80').filterChains[0]!);

const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
`;
const gateway = (settings: Record<string, unknown> = {}) =>
  httpOf(listenerOf(translated(GATEWAY, ROUTER, settings), '0.0.0.0_80').filterChains[0]!);

test('paths are normalised as far as the mesh says', () => {
  const level = (normalization: string) => {
    const { normalizePath, mergeSlashes, pathWithEscapedSlashesAction } = outbound({ pathNormalization: { normalization } });
    return [normalizePath, mergeSlashes, pathWithEscapedSlashesAction];
  };
  assert.deepEqual(level('NONE'), [false, false, Slashes.KEEP_UNCHANGED]);
  assert.deepEqual(level('BASE'), [true, false, Slashes.KEEP_UNCHANGED]);
  assert.deepEqual(level('DEFAULT'), level('BASE'));
  assert.deepEqual(level('MERGE_SLASHES'), [true, true, Slashes.KEEP_UNCHANGED]);
  assert.deepEqual(level('DECODE_AND_MERGE_SLASHES'), [true, true, Slashes.UNESCAPE_AND_FORWARD]);
});

test('a sidecar passes on what a client says of itself, a gateway finds it out', () => {
  const sidecar = outbound();
  assert.equal(sidecar.useRemoteAddress, false);
  assert.equal(sidecar.serverName, '');
  assert.equal(sidecar.forwardClientCertDetails, Forward.SANITIZE);
  const router = gateway();
  assert.equal(router.useRemoteAddress, true);
  assert.equal(router.serverName, 'istio-envoy');
  assert.equal(router.forwardClientCertDetails, Forward.SANITIZE_SET);
  assert.equal(router.xffNumTrustedHops, 0);
});

test('the topology in front of a gateway', () => {
  const topology = { numTrustedProxies: 2, forwardClientCertDetails: 'FORWARD_ONLY', proxyProtocol: {} };
  const settings = { defaultConfig: { gatewayTopology: topology } };
  const { xffNumTrustedHops, forwardClientCertDetails, setCurrentClientCertDetails } = gateway(settings);
  assert.equal(xffNumTrustedHops, 2);
  assert.equal(forwardClientCertDetails, Forward.FORWARD_ONLY);
  assert.equal(setCurrentClientCertDetails, undefined);
  assert.deepEqual(
    listenerOf(translated(GATEWAY, ROUTER, settings), '0.0.0.0_80').listenerFilters.map(({ name }) => name),
    ['envoy.filters.listener.proxy_protocol'],
  );
});

test('every HTTP connection takes upgrades, has no idle timeout and the same filters', () => {
  for (const manager of [outbound(), gateway()]) {
    assert.deepEqual(
      manager.upgradeConfigs.map(({ upgradeType }) => upgradeType),
      ['websocket'],
    );
    assert.equal(manager.streamIdleTimeout?.seconds, 0n);
    assert.deepEqual(
      manager.httpFilters.map(({ name }) => name),
      ['envoy.filters.http.fault', 'envoy.filters.http.cors', 'envoy.filters.http.router'],
    );
  }
});
