/** Istio's own control plane over a real API server, for tests of proxies that connect to it. Built by `node scripts/build-istiod.ts`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildIstiod, findIstiod } from '../../scripts/build-istiod.ts';
import { authorityIn } from '../../src/ca/folder.ts';
import { TYPE_URL } from '../../src/xds/resources.ts';
import { freePort } from '../integration/cli/program.ts';
import { needed } from '../support/lab.ts';
import { type ApiServer, needsApiServer } from './api-server.ts';

/** The `skip` option of tests that need it; where a lab was built for the tests, it is built too. */
export function needsIstiod(): string | false {
  const required = process.env.SALLYPORT_KUBE_TESTS === 'required';
  return (
    needsApiServer() || needed(required || findIstiod() !== undefined, 'there is no istiod: build it with node scripts/build-istiod.ts')
  );
}

export interface IstiodOptions {
  /** Its own files: CA, MeshConfig, log. */
  readonly folder: string;
  readonly mesh: object;
}

type State = Readonly<Record<string, { readonly sent?: string; readonly acked?: string; readonly sentTime?: string }>>;

const { cluster: CLUSTERS, nameTable: NAMES } = TYPE_URL;
/** Only one that hangs takes so long. */
const DEADLINE_MS = 60_000;

export class Istiod {
  readonly ports: Readonly<Record<'http' | 'grpc' | 'tls' | 'monitoring' | 'ctrlz', number>>;
  /** PEM file with the certificate of its CA. */
  readonly rootCert: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #log = '';

  private constructor(folder: string, ports: Istiod['ports'], child: ChildProcess) {
    this.#folder = folder;
    this.ports = ports;
    this.rootCert = join(folder, 'cacerts/root-cert.pem');
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-50_000);
      });
    }
  }

  /** Resolves when it is ready. */
  static async start(server: ApiServer, { folder, mesh }: IstiodOptions): Promise<Istiod> {
    const binary = buildIstiod();
    mkdirSync(folder, { recursive: true });
    authorityIn(join(folder, 'cacerts'), 'cluster.local', Date.now());
    writeFileSync(join(folder, 'mesh.yaml'), JSON.stringify(mesh));
    const names = ['http', 'grpc', 'tls', 'monitoring', 'ctrlz'] as const;
    const ports = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const))) as Istiod['ports'];
    const args = {
      kubeconfig: server.kubeconfig(),
      meshConfig: join(folder, 'mesh.yaml'),
      httpAddr: `127.0.0.1:${ports.http}`,
      httpsAddr: '',
      grpcAddr: `127.0.0.1:${ports.grpc}`,
      secureGRPCAddr: `127.0.0.1:${ports.tls}`,
      monitoringAddr: `127.0.0.1:${ports.monitoring}`,
      ctrlz_port: String(ports.ctrlz),
    };
    const environment = {
      POD_NAMESPACE: 'istio-system',
      POD_NAME: 'istiod-1',
      ROOT_CA_DIR: join(folder, 'cacerts'),
      VALIDATION_WEBHOOK_CONFIG_NAME: '',
      INJECTION_WEBHOOK_CONFIG_NAME: '',
    };
    const words = Object.entries(args).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(binary, ['discovery', ...words], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    const istiod = new Istiod(folder, ports, child);
    try {
      await istiod.until('it is ready', async () => (await fetch(`http://127.0.0.1:${ports.http}/ready`)).status === 200);
      return istiod;
    } catch (error) {
      await istiod.stop();
      throw error;
    }
  }

  /** Asks until it holds; nothing tells. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + DEADLINE_MS;
    while (!(await holds().catch(() => false))) {
      if (performance.now() > end || this.#child.exitCode !== null)
        throw new Error(`istiod: it never came that ${what}: ${this.#log.slice(-5000)}`);
      await delay(50);
    }
  }

  writeMesh(mesh: object): void {
    writeFileSync(join(this.#folder, 'mesh.yaml'), JSON.stringify(mesh));
  }

  async debug<T>(path: string): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${this.ports.monitoring}/debug/${path}`);
    const text = await answer.text();
    return (text.startsWith('[') || text.startsWith('{') ? JSON.parse(text) : text) as T;
  }

  /** Has everything sent again as it is now; resolves when these many proxies have acknowledged it. */
  async acknowledged(proxies: number): Promise<void> {
    const since = Date.now();
    await this.debug('adsz?push=true');
    const isAcknowledged = ({ sent, acked }: State[string]) => sent === acked;
    // The first, and the last that is sent. What a proxy asks for no more keeps its old time.
    const isFresh = (state: State) => [CLUSTERS, NAMES].every((type) => Date.parse(state[type]?.sentTime ?? '') >= since);
    await this.until(`${proxies} proxies have acknowledged everything`, async () => {
      const states = await this.debug<readonly { readonly resources: State }[]>('syncz');
      return (
        states.length === proxies && states.every(({ resources }) => isFresh(resources) && Object.values(resources).every(isAcknowledged))
      );
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
