/** What is said beside analysis: by translation for a proxy, by the local mesh of `up`, and by the registry of very many hosts. */
import { localMesh, RouterAddresses } from '../../src/config/local-mesh.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { loadMeshConfig } from '../../src/config/mesh-config.ts';
import type { Finding } from '../../src/lib/finding.ts';
import { LOCAL } from '../../src/prove/simulated.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { translate } from '../../src/translate/index.ts';
import { read } from '../field/questions.ts';
import { CALL, DIRECT, EGRESS_SERVICE, entry, HOST, HTTP, HTTP_SERVER, istio, REGISTRY_ONLY, STANDARD, THROUGH } from './documents.ts';
import type { Mend } from './mend.ts';

const policy = (text: string) => istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {${text}}`);

const translated = (text: string): readonly Finding[] => translate(LOCAL, read(text).files.mesh).findings;

function ofLocalMesh(text: string): readonly Finding[] {
  return localMesh(snapshotFromText(text), 'istio-system', new RouterAddresses()).findings;
}

function ofRegistry(text: string): readonly Finding[] {
  const snapshot = snapshotFromText(text);
  return buildRegistry(snapshot, loadMeshConfig(snapshot).config).findings;
}

/** Hosts for all addresses that can be allocated: 254 objects of 256 hosts, which is the most that one may have. */
const MANY = Array.from({ length: 254 }, (_, i) => {
  const hosts = Array.from({ length: 256 }, (_, j) => `h${j}.n${i}.example.com`);
  return entry(HTTP, '', { name: `many-${i}` }, hosts.join('", "'));
}).join('');

export const RUNNING_MENDS: readonly Mend[] = [
  {
    code: 'SP1024',
    found: translated,
    text: REGISTRY_ONLY + entry(HTTP) + policy('proxyProtocol: {version: V2}'),
    says: /Remove it/,
    change: [['trafficPolicy: {proxyProtocol: {version: V2}}', '']],
    call: CALL,
    was: /answered 503/,
    ends: DIRECT,
  },
  {
    code: 'SP1024',
    of: 'a listener of a Sidecar',
    found: translated,
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      istio('Sidecar', 'egress: [{port: {number: 80, name: proxy, protocol: HTTP_PROXY}, hosts: ["*/*"]}]', { name: 's' }),
    says: /Set protocol: HTTP and the port that clients name/,
    change: [['HTTP_PROXY', 'HTTP']],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP0101',
    found: ofLocalMesh,
    text: STANDARD.replace(
      HTTP_SERVER,
      `${HTTP_SERVER}\n  ${HTTP_SERVER.replace('number: 80', 'number: 8888').replace('name: http', 'name: other')}`,
    ),
    says: /To try the very Service of the cluster, put it beside these files/,
    add: EGRESS_SERVICE.replace(
      '{name: http, port: 80, targetPort: 8080}',
      '{name: http, port: 80, targetPort: 8080}, {name: other, port: 8888}',
    ),
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1026',
    found: ofRegistry,
    text: MANY + entry(HTTP),
    says: /State one in spec\.addresses/,
    change: [[entry(HTTP), entry(HTTP, 'addresses: [192.0.2.1]')]],
  },
];
