/** The call table's network whose proxies are `sallyport proxy --xds` at Istio's own control plane, by its TLS, with tokens of a real API server. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import type { Call, Case, Observation } from '../calls/cases.ts';
import { podNumber } from '../calls/loopback/addresses.ts';
import { LoopbackNetwork } from '../calls/loopback/network.ts';
import { MESH, PODS, type Pod } from '../calls/loopback/topology.ts';
import { merged } from '../calls/merged.ts';
import { ApiServer } from './api-server.ts';
import { Istiod } from './istiod.ts';

const PROGRAM = join(import.meta.dirname, '../integration/sallyport.ts');
const PROXIES = PODS.filter(({ kind }) => kind !== 'none');
/** Where pods find the control plane; nobody else is there. */
const CONTROL_PLANE = { ip: '198.51.100.200', port: 15_012 };
const ADMIN = { ip: '127.0.0.1', port: 15_000 };

interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export class IstiodMesh {
  #server!: ApiServer;
  #istiod!: Istiod;
  #network!: LoopbackNetwork;
  /** What ends with it, in that order. */
  readonly #ends: (() => unknown)[] = [];
  #applied: KubeObject[] = [];
  #marks = 0;

  private constructor() {}

  /** Resolves when every proxy is ready. */
  static async start(protocol: 'delta' | 'sotw'): Promise<IstiodMesh> {
    const mesh = new IstiodMesh();
    try {
      await mesh.#start(protocol);
      return mesh;
    } catch (error) {
      await mesh.stop();
      throw error;
    }
  }

  async #start(protocol: 'delta' | 'sotw'): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-istiod-'));
    this.#ends.unshift(() => rmSync(folder, { recursive: true, force: true }));
    this.#server = await ApiServer.start();
    this.#ends.unshift(() => this.#server.stop());
    await makeAccounts(this.#server);
    this.#istiod = await Istiod.start(this.#server, { folder, mesh: MESH });
    this.#ends.unshift(() => this.#istiod.stop());
    const { rootCert, ports } = this.#istiod;
    for (const pod of PROXIES) writeFileSync(tokenOf(folder, pod), await newToken(this.#server, pod), { mode: 0o600 });
    this.#network = await LoopbackNetwork.start({
      command: (pod) => ({ script: PROGRAM, args: proxyArgs(pod, protocol, rootCert, tokenOf(folder, pod)) }),
    });
    this.#ends.unshift(() => this.#network.close());
    const relay = await relayTo(ports.tls, this.#network.map.real(CONTROL_PLANE, 0)!);
    this.#ends.unshift(() => relay.close());
    await this.#server.apply(this.#network.fixed);
    await this.#network.ready();
  }

  /** Puts a case's objects in the place of those of the case before; resolves when every proxy serves what istiod makes of them. */
  async apply({ config, mesh = {} }: Pick<Case, 'config' | 'mesh'>): Promise<void> {
    for (const { kind, apiVersion, metadata } of this.#applied)
      await this.#server.delete(kind, apiVersion, metadata.name, metadata.namespace);
    this.#applied = [];
    const mark = markOf(this.#marks++);
    const { name } = mark.metadata;
    this.#istiod.writeMesh(merged(MESH, merged(mesh, { defaultConfig: { proxyMetadata: { MARK: name } } })));
    const parts = config.split('# lab: pause\n').map(objectsIn);
    for (const [index, part] of parts.entries()) {
      // Ages are told in seconds.
      if (index > 0) await delay(1100);
      for (const object of part) {
        await this.#server.apply(`${JSON.stringify(object)}\n`);
        this.#applied.push(object);
      }
    }
    const ids = await Promise.all(this.#applied.filter(({ kind }) => TOLD.test(kind)).map((object) => this.#idOf(object)));
    await this.#istiod.until('it knows these objects and no others', async () => {
      const known = (await this.#istiod.debug<readonly Known[]>('configz')).filter(({ kind, metadata: { uid } }) => uid && TOLD.test(kind));
      return known.length === ids.length && known.every(({ metadata: { uid } }) => ids.includes(uid));
    });
    await this.#istiod.until('it has the MeshConfig', async () => JSON.stringify(await this.#istiod.debug('mesh')).includes(`"${name}"`));
    // What is sent with it was made of all that was known before.
    await this.#server.apply(`${JSON.stringify(mark)}\n`);
    this.#applied.push(mark);
    await this.#istiod.until(`the egress gateway has ${name}`, async () => (await this.#clustersOfEgress()).includes(`${name}.lab.test`));
    await this.#istiod.acknowledged(PROXIES.length);
  }

  async #idOf({ kind, apiVersion, metadata }: KubeObject): Promise<string> {
    return (await this.#server.read(kind, apiVersion, metadata.name, metadata.namespace)).metadata.uid;
  }

  #clustersOfEgress(): Promise<string> {
    return this.admin('egress', '/clusters');
  }

  /** A page of a pod's admin endpoint. */
  async admin(name: string, path: string): Promise<string> {
    const { ip, port } = this.#network.map.real(ADMIN, podNumber(PODS.find((pod) => pod.name === name)!.ip))!;
    return (await fetch(`http://${ip}:${port}${path}`)).text();
  }

  perform(call: Call): Promise<Observation> {
    return this.#network.perform(call);
  }

  async stop(): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

/** Kinds whose objects istiod tells of as they are. */
const TOLD =
  /^(?:Gateway|ServiceEntry|WorkloadEntry|VirtualService|DestinationRule|Sidecar|HTTPRoute|AuthorizationPolicy|PeerAuthentication|RequestAuthentication)$/;

interface Known {
  readonly kind: string;
  readonly metadata: { readonly uid: string };
}

function proxyArgs(pod: Pod, protocol: string, ca: string, token: string): readonly string[] {
  const { kind, namespace, name, ip, labels, serviceAccount } = pod;
  const who = ['--role', kind, '--workload', `${namespace}/${name}`, '--ip', ip, '--service-account', serviceAccount];
  const mesh = kind === 'sidecar' ? { 'security.istio.io/tlsMode': 'istio' } : {};
  const said = Object.entries({ ...labels, ...mesh }).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
  const from = [
    '--xds',
    `${CONTROL_PLANE.ip}:${CONTROL_PLANE.port}`,
    '--xds-protocol',
    protocol,
    '--xds-ca',
    ca,
    '--xds-token-file',
    token,
  ];
  return ['proxy', ...from, ...who, ...said, '--status-address', '127.0.0.1:15021', '--concurrency', '1'];
}

async function makeAccounts(server: ApiServer): Promise<void> {
  const namespaces = new Set(['istio-system', ...PODS.map(({ namespace }) => namespace)]);
  for (const name of namespaces)
    if (name !== 'default') await server.apply(`${JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })}\n`);
  const accounts = new Map(PODS.map(({ serviceAccount: name, namespace }) => [`${namespace}/${name}`, { name, namespace }]));
  for (const metadata of accounts.values())
    await server.apply(`${JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata })}\n`);
  for (const object of readsSecrets('istio-system')) await server.apply(`${JSON.stringify(object)}\n`);
}

/** Istiod gives a gateway the Secrets that its account may list. */
function readsSecrets(namespace: string): readonly object[] {
  const [apiVersion, metadata] = ['rbac.authorization.k8s.io/v1', { name: 'gateways', namespace }];
  const rules = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'watch', 'list'] }];
  const subjects = PODS.filter(({ kind }) => kind === 'router').map(({ serviceAccount: name }) => ({
    kind: 'ServiceAccount',
    name,
    namespace,
  }));
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'gateways' };
  return [
    { apiVersion, kind: 'Role', metadata, rules },
    { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects },
  ];
}

function tokenOf(folder: string, { name }: Pod): string {
  return join(folder, `${name}.token`);
}

async function newToken(server: ApiServer, { namespace, serviceAccount }: Pod): Promise<string> {
  const asked = { spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } };
  return (await server.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`, asked)).status.token;
}

/** Pods have a network of their own. */
async function relayTo(port: number, at: { readonly ip: string; readonly port: number }): Promise<Server> {
  const relay = createServer((pod) => {
    const target = connect(port, '127.0.0.1');
    pod.on('error', () => target.destroy()).pipe(target);
    target.on('error', () => pod.destroy()).pipe(pod);
  }).listen(at.port, at.ip);
  await once(relay, 'listening');
  return relay;
}

/** Every gateway has a cluster for it. */
function markOf(number: number): KubeObject {
  const name = `mark-${number}`;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace: 'legacy' },
    spec: {
      hosts: [`${name}.lab.test`],
      ports: [{ number: 1, name: 'tcp', protocol: 'TCP' }],
      addresses: ['203.0.113.251'],
      resolution: 'STATIC',
      endpoints: [{ address: '203.0.113.251' }],
    },
  } as KubeObject;
}

function objectsIn(text: string): KubeObject[] {
  return (loadAll(text) as (KubeObject | null)[]).flatMap((object) =>
    object ? [{ ...object, metadata: { ...object.metadata, namespace: object.metadata.namespace ?? 'default' } }] : [],
  );
}
