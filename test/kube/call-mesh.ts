/** The call table's mesh on a real node: its pods with what the webhook injects, its gateways, Services and Secrets, and the world outside in the node's network. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import * as esbuild from 'esbuild';
import { parse, stringify } from 'yaml';
import { imageName } from '../../scripts/image.ts';
import type { Call, Case, Observation } from '../calls/cases.ts';
import type { CallResult } from '../calls/client.ts';
import type { Hit } from '../calls/echo.ts';
import { type Certificates, makeCertificates } from '../calls/loopback/certificates.ts';
import { caseSecrets } from '../calls/loopback/fixed-objects.ts';
import { BLACKHOLE_IP, MESH, OUTSIDE, OUTSIDE_IP, PODS, type Pod, SERVICES } from '../calls/loopback/topology.ts';
import { merged } from '../calls/merged.ts';
import { Recorder } from '../calls/recorder.ts';
import { type CertificateFile, SERVES } from './call-app.ts';
import type { KubeNode } from './node.ts';

export type Engine = 'envoy' | 'embedded';

const NAMESPACES = ['default', 'other', 'legacy', 'istio-system'] as const;
/** Where the applications are in their pods. */
const APP = 'call-app';
const PATH = '/app/call-app.mjs';
const CERTIFICATES = 'certificates.json';
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';
/** Whoever is not the proxy's own user is captured. */
const USER = 1000;
const CLIENTS = ['sleep', 'other', 'plain'];

/** Kinds of cases' objects. */
const CONFIGURED = [
  ...['gateways.networking.istio.io', 'serviceentries', 'virtualservices', 'destinationrules', 'sidecars', 'workloadentries'],
  ...['authorizationpolicies', 'peerauthentications'],
];

/** What the node's DNS is started with. */
export const CALL_NAMES = [
  ...['example.com/198.51.100.99', 'example.org/198.51.100.98', 'test/198.51.100.97'].map((each) => `--address=/${each}`),
  '--local=/#/',
];

export class CallMesh {
  readonly #node: KubeNode;
  readonly #certificates: Certificates;
  readonly #recorder = new Recorder((call) => this.#make(call));
  readonly #clients = new Map<string, ChildProcess>();
  readonly #asked = new Map<number, PromiseWithResolvers<CallResult>>();
  /** Recorded addresses of pods, by those that they have here, and the other way round. */
  #recorded = new Map<string, string>();
  #real = new Map<string, string>();
  #followers: ChildProcess[] = [];
  #calls = 0;
  /** MeshConfig as it is installed, and as it is now. */
  #installed: object = {};
  #mesh = '';

  /** Everything but the pods. */
  static async start(node: KubeNode): Promise<CallMesh> {
    const folder = join(node.folder, 'certificates');
    mkdirSync(folder);
    const mesh = new CallMesh(node, await makeCertificates(folder));
    await mesh.#startOutside();
    await mesh.#applyObjects();
    const { data } = await node.get('configmap', 'istio', '-n', 'istio-system');
    mesh.#installed = parse(data.mesh) as object;
    return mesh;
  }

  private constructor(node: KubeNode, certificates: Certificates) {
    this.#node = node;
    this.#certificates = certificates;
  }

  async #startOutside(): Promise<void> {
    const node = this.#node;
    for (const address of [OUTSIDE_IP, ...OUTSIDE.map(({ ip }) => ip)]) await node.address(address);
    node.nameOthers([`${BLACKHOLE_IP} blackhole.example.com`, ...OUTSIDE.flatMap(({ ip, hosts }) => hosts.map((host) => `${ip} ${host}`))]);
    const { ca, privateCa, hosts, named } = this.#certificates;
    const file: CertificateFile = { ca, privateCa, hosts: [...hosts], named: [...named] };
    writeFileSync(join(node.folder, CERTIFICATES), JSON.stringify(file));
    await esbuild.build({
      entryPoints: [join(import.meta.dirname, 'call-app.ts')],
      outfile: join(node.folder, 'call-app.mjs'),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      logLevel: 'warning',
    });
    const env = { CALL_CERTIFICATES: join(node.folder, CERTIFICATES) };
    const outside = await node.outside(process.execPath, [join(node.folder, 'call-app.mjs'), 'outside'], new RegExp(SERVES), env);
    createInterface({ input: outside.stdout! }).on('line', (line) => this.#saw(line));
  }

  async #applyObjects(): Promise<void> {
    const node = this.#node;
    for (const name of NAMESPACES) await node.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    // Of whoever had the node before and did not come to its end.
    for (const namespace of NAMESPACES) await node.delete(CONFIGURED.join(), '--all', '-n', namespace);
    const accounts = [...new Set(PODS.map(({ serviceAccount, namespace }) => `${namespace}/${serviceAccount}`))].map((each) => {
      const [namespace, name] = each.split('/');
      return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } };
    });
    const services = SERVICES.map(({ name, namespace, clusterIp: clusterIP, selector, ports }) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: selector },
      spec: { clusterIP, selector, ports },
    }));
    for (const object of [...accounts, ...services, ...caseSecrets(this.#certificates)]) await node.apply(JSON.stringify(object));
    const files = ['call-app.mjs', CERTIFICATES].map((name) => `--from-file=${join(node.folder, name)}`);
    for (const namespace of NAMESPACES) {
      await node.delete('configmap', APP, '-n', namespace);
      await node.kubectl(['create', 'configmap', APP, '-n', namespace, ...files, `--from-literal=ca.crt=${this.#certificates.ca}`]);
    }
    await node.nameServices();
  }

  /** All pods anew, with proxies of an engine; resolves when clients can be asked. */
  async startPods(engine: Engine): Promise<void> {
    const node = this.#node;
    await this.stopPods();
    for (const pod of PODS) await node.apply(JSON.stringify(podObject(pod, engine)));
    for (const { name, namespace } of PODS) await node.ready(name, namespace);
    for (const { name, namespace, ip } of PODS) {
      const { status } = await node.get('pod', name, '-n', namespace);
      this.#recorded.set(status.podIP, ip);
      this.#real.set(ip, status.podIP);
    }
    for (const pod of PODS) this.#follow(pod);
    await Promise.all(CLIENTS.map((name) => this.#startClient(name)));
  }

  async stopPods(): Promise<void> {
    for (const child of [...this.#followers, ...this.#clients.values()]) child.kill();
    this.#followers = [];
    this.#clients.clear();
    this.#recorded = new Map();
    this.#real = new Map();
    for (const namespace of NAMESPACES) {
      const names = PODS.filter((pod) => pod.namespace === namespace).map(({ name }) => name);
      await this.#node.delete('pod', ...names, '-n', namespace, '--grace-period=1');
    }
  }

  /** What it leaves on the node goes. */
  async stop(): Promise<void> {
    await this.stopPods();
    for (const namespace of ['other', 'legacy']) await this.#node.delete('namespace', namespace);
    for (const namespace of ['default', 'istio-system']) {
      const of = (kind: string, all: readonly { metadata: { name: string; namespace: string } }[]) =>
        this.#node.delete(
          kind,
          ...all.filter(({ metadata }) => metadata.namespace === namespace).map(({ metadata }) => metadata.name),
          '-n',
          namespace,
        );
      await of('secret', caseSecrets(this.#certificates));
      await of(
        'service',
        SERVICES.map((metadata) => ({ metadata })),
      );
      await this.#node.delete('configmap', APP, '-n', namespace);
    }
  }

  /** Resolves when every proxy has acknowledged it. */
  async apply({ config, mesh = {} }: Case): Promise<void> {
    await this.#configure(mesh);
    for (const [i, part] of this.#here(config).split('# lab: pause\n').entries()) {
      // The age of objects counts in whole seconds.
      if (i > 0) await delay(1001 - (Date.now() % 1000));
      if (part.trim() !== '') await this.#node.apply(part);
    }
    await this.#inForce();
  }

  async remove({ config }: Case): Promise<void> {
    if (config.trim() !== '') await this.#node.kubectl(['delete', '--ignore-not-found', '-f', '-'], this.#here(config));
  }

  /** Makes a call and returns what it did. */
  perform(call: Call): Promise<Observation> {
    return this.#recorder.perform(call);
  }

  async #configure(overrides: object): Promise<void> {
    const mesh = stringify(merged(merged(this.#installed, MESH), overrides));
    if (mesh === this.#mesh) return;
    const patch = JSON.stringify({ data: { mesh } });
    await this.#node.kubectl(['patch', 'configmap', 'istio', '-n', 'istio-system', '--type=merge', `-p=${patch}`]);
    this.#mesh = mesh;
  }

  async #inForce(): Promise<void> {
    const said = await this.#node.kubectl(['exec', '-n', 'istio-system', 'deployment/sallyport-controller', '--', 'node', '-e', IN_FORCE]);
    if (!said.includes('in force')) throw new Error(said);
  }

  #follow({ name, namespace, kind, appPorts }: Pod): void {
    const logs = (container: string) => ['logs', '-f', '--tail=0', name, '-n', namespace, '-c', container];
    const pod = PODS.find((each) => each.name === name)!;
    if (kind !== 'none')
      this.#followers.push(
        this.#node.follow(logs('istio-proxy'), (line) => {
          if (!line.startsWith('{')) return;
          const fields = JSON.parse(this.#asRecorded(line));
          if ('flags' in fields) this.#recorder.logged({ pod, fields });
        }),
      );
    if (appPorts.length > 0) this.#followers.push(this.#node.follow(logs('app'), (line) => this.#saw(line)));
  }

  #saw(line: string): void {
    if (line.startsWith('{')) this.#recorder.hit(JSON.parse(this.#asRecorded(line)) as Hit);
  }

  async #startClient(name: string): Promise<void> {
    const { namespace } = PODS.find((each) => each.name === name)!;
    const { promise, resolve } = Promise.withResolvers<void>();
    const exec = ['exec', '-i', name, '-n', namespace, '-c', 'app', '--', 'node', PATH, 'client'];
    const child = this.#node.follow(exec, (line) => {
      if (line.includes(SERVES)) return resolve();
      const { id, result, error } = JSON.parse(this.#asRecorded(line)) as { id: number; result?: CallResult; error?: string };
      const asked = this.#asked.get(id)!;
      this.#asked.delete(id);
      if (result) asked.resolve(result);
      else asked.reject(new Error(error));
    });
    this.#clients.set(name, child);
    await promise;
  }

  #make(call: Call): Promise<CallResult> {
    const asked = Promise.withResolvers<CallResult>();
    const id = this.#calls++;
    this.#asked.set(id, asked);
    this.#clients.get(call.from)!.stdin!.write(`${this.#here(JSON.stringify({ id, call }))}\n`);
    return asked.promise;
  }

  #asRecorded(text: string): string {
    return withAddresses(text, this.#recorded);
  }

  #here(text: string): string {
    return withAddresses(text, this.#real);
  }
}

/** Reads everything anew, and waits until no proxy is behind it. */
const IN_FORCE = `
const ask = async (method, path) => (await fetch('http://127.0.0.1:15021' + path, { method })).json();
const { error } = await ask('POST', '/reload');
for (let left = 200; ; left--) {
  const { streams } = await ask('GET', '/status');
  const behind = streams.filter(({ xds }) => Object.values(xds).some(({ state }) => state === 'STALE'));
  if (error || left === 0) { console.log(error ?? JSON.stringify(behind)); break; }
  if (behind.length === 0) { console.log('in force'); break; }
  await new Promise((resolve) => setTimeout(resolve, 50));
}
process.exit(0);
`;

function withAddresses(text: string, table: ReadonlyMap<string, string>): string {
  return text.replace(/(?<![\d.])10\.244\.\d+\.\d+(?![\d.])/g, (address) => table.get(address) ?? address);
}

function podObject({ name, namespace, kind, labels, serviceAccount: serviceAccountName, appPorts }: Pod, engine: Engine): object {
  const trusted = { name: APP, mountPath: TRUSTED, subPath: 'ca.crt' };
  const proxy = { name: 'istio-proxy', image: 'auto', volumeMounts: [trusted] };
  const app = {
    name: 'app',
    image: imageName(),
    command: ['node', ...(appPorts.length > 0 ? [PATH, 'echo', name, ...appPorts.map(String)] : ['-e', 'setInterval(() => {}, 1e9)'])],
    env: [{ name: 'CALL_CERTIFICATES', value: `/app/${CERTIFICATES}` }],
    securityContext: { runAsUser: USER, runAsGroup: USER },
    volumeMounts: [{ name: APP, mountPath: '/app' }],
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { ...labels, 'sidecar.istio.io/inject': String(kind !== 'none') },
      annotations: { 'sallyport.dev/engine': engine, ...(kind === 'router' ? { 'inject.istio.io/templates': 'gateway' } : {}) },
    },
    spec: {
      serviceAccountName,
      terminationGracePeriodSeconds: 1,
      containers: kind === 'router' ? [proxy] : kind === 'sidecar' ? [app, proxy] : [app],
      volumes: [{ name: APP, configMap: { name: APP } }],
    },
  };
}
