/**
 * A real Kubernetes API server with its etcd, on loopback, for the tests of this folder: without controllers and nodes, so that there is nothing but what
 * a test puts there. The binaries are those that the lab beside the repository builds (`../shared/kube/build.sh api`).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import { freePort } from '../integration/cli/program.ts';
import { labFolders, needed, SHARED } from '../support/lab.ts';

interface Binaries {
  readonly etcd: string;
  readonly apiServer: string;
}

function binaries(): Binaries | undefined {
  const folders = labFolders();
  if (!folders) return undefined;
  const [root, bin] = folders;
  const found = { etcd: `${root}/usr/bin/etcd`, apiServer: `${bin}/kube-apiserver` };
  return Object.values(found).every((path) => existsSync(path)) ? found : undefined;
}

/** The `skip` option of tests that need an API server; where it was built for the tests, its absence is an error. */
export function needsApiServer(): string | false {
  return needed(binaries() !== undefined, 'there is no kube-apiserver: build it with ../shared/kube/build.sh api');
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A user whom the server knows, by a token. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

const ADMIN: User = { name: 'admin', groups: ['system:masters'] };

export class ApiServer {
  readonly folder: string;
  readonly url: string;
  readonly #port: number;
  readonly #binaries: Binaries;
  readonly #children: ChildProcess[] = [];
  readonly #tokens: ReadonlyMap<string, string>;
  #etcd = '';

  private constructor(folder: string, port: number, users: readonly User[], found: Binaries) {
    this.folder = folder;
    this.#port = port;
    this.url = `https://127.0.0.1:${port}`;
    this.#binaries = found;
    this.#tokens = new Map([ADMIN, ...users].map(({ name }) => [name, randomBytes(16).toString('hex')]));
    const rows = [ADMIN, ...users].map(({ name, groups }) => `${this.#tokens.get(name)},${name},${name},"${groups.join(',')}"\n`);
    writeFileSync(join(folder, 'tokens.csv'), rows.join(''));
  }

  /** Resolves when it is ready and has the CRDs of Istio and of the Gateway API. */
  static async start(users: readonly User[] = []): Promise<ApiServer> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-kube-'));
    const server = new ApiServer(folder, await freePort(), users, binaries()!);
    server.#certificates();
    await server.#startEtcd();
    await server.up();
    await server.apply(join(SHARED, 'data/istio-crds.yaml'), join(SHARED, 'data/gateway-api-crds-standard.yaml'));
    await server.until('/apis/networking.istio.io/v1', ({ resources }) => named(resources, 'virtualservices'));
    await server.until('/apis/gateway.networking.k8s.io/v1', ({ resources }) => named(resources, 'httproutes'));
    return server;
  }

  #certificates(): void {
    const { folder } = this;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    openssl(...'req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca'.split(' '));
    for (const [name, subject, extension] of [
      ['server', '/CN=kubernetes', 'subjectAltName=DNS:kubernetes.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'],
      ['client', '/O=system:masters/CN=carol', 'extendedKeyUsage=clientAuth\n'],
    ] as const) {
      writeFileSync(join(folder, `${name}.ext`), extension);
      openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
      openssl(
        ...`x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out ${name}.crt -extfile ${name}.ext`.split(' '),
      );
    }
  }

  async #startEtcd(): Promise<void> {
    this.#etcd = `http://127.0.0.1:${await freePort()}`;
    const peer = `http://127.0.0.1:${await freePort()}`;
    mkdirSync(join(this.folder, 'etcd'), { mode: 0o700 });
    this.#run(this.#binaries.etcd, [
      `--data-dir=${join(this.folder, 'etcd')}`,
      `--listen-client-urls=${this.#etcd}`,
      `--advertise-client-urls=${this.#etcd}`,
      `--listen-peer-urls=${peer}`,
      '--unsafe-no-fsync',
    ]);
  }

  /** Starts the server; what it held before it holds again. */
  async up(): Promise<void> {
    const file = (name: string) => join(this.folder, name);
    this.#run(this.#binaries.apiServer, [
      `--etcd-servers=${this.#etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      '--endpoint-reconciler-type=none',
      `--tls-cert-file=${file('server.crt')}`,
      `--tls-private-key-file=${file('server.key')}`,
      `--client-ca-file=${file('ca.crt')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      `--service-account-key-file=${file('sa.key')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      // Nothing makes service accounts here, and pods need none.
      '--disable-admission-plugins=ServiceAccount',
      '--shutdown-delay-duration=0s',
    ]);
    await this.until('/readyz', () => true);
  }

  /** Ends the server, so that nobody answers until it is up again. */
  async down(): Promise<void> {
    const child = this.#children.pop()!;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  #run(program: string, args: readonly string[]): void {
    this.#children.push(spawn(program, args, { stdio: 'ignore' }));
  }

  async stop(): Promise<void> {
    while (this.#children.length > 0) await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A kubeconfig for a user (`admin` if not said), in a file of its own. */
  kubeconfig(user: object = { token: this.token('admin') }, cluster: object = {}): string {
    const file = join(this.folder, `config-${randomBytes(4).toString('hex')}`);
    const config = {
      'current-context': 'test',
      clusters: [{ name: 'test', cluster: { server: this.url, 'certificate-authority': 'ca.crt', ...cluster } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      users: [{ name: 'test', user }],
    };
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  token(user: string): string {
    return this.#tokens.get(user)!;
  }

  /** Creates or replaces the objects of YAML files, or of a text; their status too where it is said. */
  async apply(...sources: readonly string[]): Promise<void> {
    for (const source of sources) {
      const text = source.includes('\n') ? source : readFileSync(source, 'utf8');
      const objects = (loadAll(text) as Document[]).filter((each) => each?.kind && !each.kind.startsWith('ValidatingAdmission'));
      // A few at once.
      const worker = async () => {
        for (let object = objects.shift(); object; object = objects.shift()) await this.#applyOne(object);
      };
      await Promise.all(Array.from({ length: 8 }, worker));
    }
  }

  async #applyOne(object: Document): Promise<void> {
    const path = pathOf(object);
    const made = await this.ask('POST', path, object);
    const { name } = object.metadata;
    if (made.status === 409) await this.#replace(path, object);
    else if (made.status >= 300) throw new Error(`${object.kind} ${name}: ${made.status} ${made.body.message}`);
    if (object.kind === 'Pod' && object.status) {
      const there = await this.must('GET', `${path}/${name}`);
      await this.must('PUT', `${path}/${name}/status`, { ...there, status: object.status });
    }
  }

  /** Who writes statuses may come between, now and then. */
  async #replace(path: string, object: Document): Promise<void> {
    const at = `${path}/${object.metadata.name}`;
    for (let tries = 0; tries < 10; tries++) {
      const { metadata } = await this.must('GET', at);
      const put = await this.ask('PUT', at, { ...object, metadata: { ...object.metadata, resourceVersion: metadata.resourceVersion } });
      if (put.status < 300) return;
      if (put.status !== 409) throw new Error(`PUT ${at}: ${put.status} ${put.body.message}`);
    }
    throw new Error(`${at} is written by others each time`);
  }

  delete(kind: string, apiVersion: string, name: string, namespace = 'default'): Promise<unknown> {
    return this.must('DELETE', `${pathOf({ kind, apiVersion, metadata: { name, namespace } })}/${name}`);
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of all kinds
  read(kind: string, apiVersion: string, name: string, namespace = 'default'): Promise<any> {
    return this.must('GET', `${pathOf({ kind, apiVersion, metadata: { name, namespace } })}/${name}`);
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of all kinds
  async must(method: Method, path: string, body?: object): Promise<any> {
    const answer = await this.ask(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.message}`);
    return answer.body;
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of all kinds
  ask(method: Method, path: string, body?: object, user = ADMIN.name): Promise<{ status: number; body: any; warning: string }> {
    const headers = { authorization: `Bearer ${this.token(user)}`, 'content-type': 'application/json' };
    const ca = readFileSync(join(this.folder, 'ca.crt'));
    return new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.url), { method, headers, ca }, async (response) => {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part as Buffer);
        const text = Buffer.concat(parts).toString('utf8');
        const warning = String(response.headers.warning ?? '');
        resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : { message: text }, warning });
      });
      asked.on('error', reject);
      asked.end(body && JSON.stringify(body));
    });
  }

  /** Asks until the answer is there; nothing tells when a server has started, or serves a CRD. */
  // biome-ignore lint/suspicious/noExplicitAny: bodies of all kinds
  until(path: string, there: (body: any) => boolean): Promise<void> {
    return this.#untilAnswer(path, ({ status, body }) => status === 200 && there(body));
  }

  untilGone(path: string): Promise<void> {
    return this.#untilAnswer(path, ({ status }) => status === 404);
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of all kinds
  async #untilAnswer(path: string, there: (answer: { status: number; body: any }) => boolean): Promise<void> {
    const end = Date.now() + 180_000;
    for (;;) {
      const answer = await this.ask('GET', path).catch(() => undefined);
      if (answer && there(answer)) return;
      if (Date.now() > end) throw new Error(`${path} is not there: ${JSON.stringify(answer)}`);
      await delay(200);
    }
  }
}

interface Document {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly status?: unknown;
}

const CLUSTER_SCOPED = /^(?:Namespace|Node|CustomResourceDefinition|GatewayClass|ClusterRole|ClusterRoleBinding)$/;

function pathOf({ apiVersion, kind, metadata }: Document): string {
  const lower = kind.toLowerCase();
  const plural = pluralOf(lower);
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return CLUSTER_SCOPED.test(kind) ? `${root}/${plural}` : `${root}/namespaces/${metadata.namespace ?? 'default'}/${plural}`;
}

function pluralOf(kind: string): string {
  if (kind === 'endpoints') return kind;
  if (kind.endsWith('y') && kind !== 'gateway') return `${kind.slice(0, -1)}ies`;
  return kind.endsWith('s') ? `${kind}es` : `${kind}s`;
}

function named(resources: readonly { readonly name: string }[], name: string): boolean {
  return resources.some((each) => each.name === name);
}
