/** Ways round a gateway that a proof must not overlook: each was proved away once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { type SimulatedFiles, simulateFiles } from './simulated.ts';
import { gatewaysOf, verifyFiles } from './verify.ts';
import { onlyThroughGateways, type StatementFile, statementOf } from './verify-statements.ts';

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

const mesh = (text: string, mode = 'REGISTRY_ONLY') =>
  simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode } }));

const document = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;

const HTTP = '{number: 80, name: http, protocol: HTTP}';
const entry = (host: string, more = 'resolution: DNS', ports = HTTP) =>
  document(
    'ServiceEntry',
    host.replace(/[*.]+/g, '-').replace(/^-/, ''),
    `{hosts: ['${host}'], location: MESH_EXTERNAL, ports: [${ports}], ${more}}`,
  );
const WWW = entry('www.example.com');
/** Seen by the gateway alone. */
const SECRET = entry('secret.example.com', 'resolution: DNS, exportTo: [istio-system]');
const gateway = (servers: string) => document('Gateway', 'egress', `{selector: {istio: egressgateway}, servers: [${servers}]}`);
const GATEWAY = gateway(`{port: ${HTTP}, hosts: ['*']}`);
const to = (host: string, port = 80) => `route: [{destination: {host: ${host}, port: {number: ${port}}}}]`;
const routes = (http: string, more = 'hosts: [www.example.com], gateways: [mesh, egress]', name = 'routes') =>
  document('VirtualService', name, `{${more}, http: [${http}]}`);
const AT_GATEWAY = `{match: [{gateways: [egress]}], ${to('www.example.com')}}`;

interface Judged {
  readonly result: string;
  readonly undecided: readonly string[];
}

function judged(files: SimulatedFiles, statement?: StatementFile): Judged {
  const isGateway = gatewaysOf(files);
  const asked = statement ? statementOf(statement, 'test', isGateway) : onlyThroughGateways(isGateway);
  return verifyFiles(files, [asked], 100_000)[0]!;
}

/** A statement about the secret host that no call of the files' workload may break. */
const NOBODY: StatementFile = { onlyWorkloads: { host: 'secret.example.com', workloads: ['default/nobody'] } };

test('a mirror leaves the mesh past the gateway', () => {
  const unreached = entry('secret.example.com') + routes('{directResponse: {status: 403}}', 'hosts: [secret.example.com]', 'secret');
  assert.equal(
    judged(mesh(WWW + unreached + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`))).result,
    'proved',
  );
  const copies =
    WWW + unreached + GATEWAY + routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}, mirror: {host: secret.example.com}}, ${AT_GATEWAY}`);
  assert.equal(judged(mesh(copies)).result, 'refuted');
  assert.equal(judged(mesh(copies), NOBODY).result, 'refuted');
});

test('a mirror at the gateway reaches a host', () => {
  const copies =
    WWW +
    SECRET +
    GATEWAY +
    routes(
      `{match: [{gateways: [mesh]}], ${to(EGRESS)}}, {match: [{gateways: [egress]}], ${to('www.example.com')}, mirrors: [{destination: {host: secret.example.com}, percentage: {value: 1}}]}`,
    );
  assert.equal(judged(mesh(copies)).result, 'proved');
  assert.equal(judged(mesh(copies), NOBODY).result, 'refuted');
});

test('a route whose path ignores case behind one that does not', () => {
  const leak = `{match: [{gateways: [mesh], uri: {prefix: /a}}], ${to(EGRESS)}}, {match: [{gateways: [mesh], uri: {prefix: /a}, ignoreUriCase: true}], ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.equal(judged(mesh(WWW + GATEWAY + routes(leak))).result, 'refuted');
});

test('a path that the gateway takes whatever its case', () => {
  const hidden = `{match: [{gateways: [mesh], uri: {exact: /a}, ignoreUriCase: true}], ${to(EGRESS)}}, {match: [{gateways: [egress], uri: {exact: /A}}], ${to('secret.example.com')}}`;
  assert.notEqual(judged(mesh(WWW + SECRET + GATEWAY + routes(hidden)), NOBODY).result, 'proved');
});

test('a sample that path normalisation takes to another route', () => {
  const leak = `{match: [{gateways: [mesh], uri: {regex: '/a/..'}}], ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.notEqual(judged(mesh(WWW + GATEWAY + routes(leak))).result, 'proved');
});

test('what a refusal keeps from Sallyport alone is not proved', () => {
  const mutual = document('DestinationRule', 'gateway', `{host: ${EGRESS}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}`);
  const behind = routes(`{match: [{gateways: [mesh]}], ${to(EGRESS)}}, {match: [{gateways: [egress]}], ${to('secret.example.com')}}`);
  assert.notEqual(judged(mesh(WWW + SECRET + GATEWAY + mutual + behind), NOBODY).result, 'proved');
});

test('preflights that a CORS policy answers do not stand for others', () => {
  const cors = `{match: [{gateways: [mesh], method: {exact: OPTIONS}, headers: {origin: {prefix: 'http://'}, access-control-request-method: {}}}], corsPolicy: {allowOrigins: [{exact: 'http://'}]}, ${to('www.example.com')}}, {match: [{gateways: [mesh]}], ${to(EGRESS)}}, ${AT_GATEWAY}`;
  assert.notEqual(judged(mesh(WWW + GATEWAY + routes(cors))).result, 'proved');
});
