/**
 * A real node with a kubelet, on which pods run, for the tests of this folder: the lab beside the repository (`../shared/kube`), with the product's image, Istio's
 * CRDs, and a DNS server in the place of a cluster's. The node is left running, for the next file: it is one file's at a time (`scripts/test.ts`).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { imageName } from '../../scripts/image.ts';
import { labBinary, needed, SHARED } from '../support/lab.ts';

const run = promisify(execFile);

const KUBE = join(SHARED, 'kube');
const ROOT = join(import.meta.dirname, '../..');
/** In the node's network: what is outside of the mesh. */
export const NETWORK = '/run/netns/spkube';
const BUSYBOX = '/usr/bin/busybox';
const DNS_SERVICE = '10.96.0.10';
const NODE = '10.250.0.1';

/** Of clients that applications are made of. */
export const CLIENT_IMAGE = 'docker.io/library/busybox:1.35';

const DNS = `
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec:
  clusterIP: ${DNS_SERVICE}
  ports: [{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53, protocol: TCP }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: kube-dns-lab, namespace: kube-system, labels: { kubernetes.io/service-name: kube-dns } }
addressType: IPv4
endpoints: [{ addresses: [${NODE}], conditions: { ready: true } }]
ports: [{ name: dns, port: 53, protocol: UDP }, { name: dns-tcp, port: 53, protocol: TCP }]
`;

/** The `skip` option of tests that need a node; where the lab was built for the tests, its absence is an error. */
export function needsNode(): string | false {
  const programs = ['kubelet', 'kubectl', 'kube-apiserver', 'kube-proxy', 'helm'].map(labBinary);
  const there = process.getuid?.() === 0 && programs.every((path) => path !== undefined && existsSync(path)) && existsSync(BUSYBOX);
  return needed(there, 'there is no node: it needs root, busybox-static, dnsmasq, redis-server, and ../shared/kube/build.sh all');
}

export class KubeNode {
  readonly folder = mkdtempSync(join(tmpdir(), 'sallyport-node-'));
  readonly #children: ChildProcess[] = [];
  readonly #addresses = new Set<string>();

  /**
   * Resolves when it is ready for pods, without the product.
   * @param names options of dnsmasq, for names beside those of Services
   */
  static async start(names: readonly string[] = []): Promise<KubeNode> {
    const node = new KubeNode();
    await run(join(KUBE, 'up.sh'));
    await node.#load();
    await node.kubectl(['apply', '--server-side', '--force-conflicts', '-f', join(SHARED, 'data/istio-crds.yaml')]);
    await node.#startDns(names);
    return node;
  }

  async #load(): Promise<void> {
    const product = join(this.folder, 'sallyport.tar');
    await run(process.execPath, [join(ROOT, 'scripts/image.ts'), product]);
    const bin = join(this.folder, 'bin');
    mkdirSync(bin);
    const { stdout } = await run(BUSYBOX, ['--list']);
    await run('cp', [BUSYBOX, join(bin, 'busybox')]);
    for (const name of stdout.split('\n').filter((each) => each !== '' && each !== 'busybox')) symlinkSync('busybox', join(bin, name));
    const client = join(this.folder, 'busybox.tar');
    await run(join(KUBE, 'image.py'), [client, CLIENT_IMAGE, `${bin}:/bin`, '--entrypoint', '/bin/sh']);
    await run(join(KUBE, 'load.sh'), [product, client]);
  }

  async #startDns(names: readonly string[]): Promise<void> {
    const hosts = join(this.folder, 'hosts');
    mkdirSync(hosts);
    // It gives up its user's rights, and reads them then.
    for (const folder of [this.folder, hosts]) chmodSync(folder, 0o755);
    await this.apply(DNS);
    await this.nameServices();
    const where = [`--listen-address=${NODE}`, '--bind-interfaces', '--local=/cluster.local/', `--hostsdir=${hosts}`];
    await this.outside(
      'dnsmasq',
      ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--pid-file=', '--log-facility=-', ...where, ...names],
      /started/,
    );
  }

  /** The names of all Services are known from now on. */
  async nameServices(): Promise<void> {
    const { items } = await this.get('services', '--all-namespaces');
    const lines = (items as Service[]).flatMap(({ metadata: { name, namespace }, spec: { clusterIP } }) =>
      clusterIP && clusterIP !== 'None' ? [`${clusterIP} ${name}.${namespace}.svc.cluster.local`] : [],
    );
    writeFileSync(join(this.folder, 'hosts/services'), `${lines.join('\n')}\n`);
  }

  /** Installs the chart, or upgrades to these values; resolves when it is up and its names are known. */
  async install(...values: readonly string[]): Promise<void> {
    const sets = ['replicas=1', `image.repository=${imageName().split(':')[0]}`, ...values].flatMap((value) => ['--set', value]);
    const where = ['--namespace', 'istio-system', '--create-namespace', '--wait', '--timeout', '90s'];
    await this.helm(['upgrade', '--install', 'sallyport', join(ROOT, 'deploy/chart'), ...where, ...sets]);
    await this.nameServices();
  }

  /** Lines of a hosts file, which names resolve by from now on, beside those of Services. */
  nameOthers(lines: readonly string[]): void {
    writeFileSync(join(this.folder, 'hosts/others'), `${lines.join('\n')}\n`);
  }

  async helm(args: readonly string[]): Promise<string> {
    const config = join(labBinary('')!, '../run/pki/admin.kubeconfig');
    return (await run('nsenter', [`--net=${NETWORK}`, labBinary('helm')!, ...args, '--kubeconfig', config])).stdout;
  }

  /** Returns what it writes to stdout; rejects with what it writes to stderr. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const done = run(join(KUBE, 'kubectl'), args, { maxBuffer: 64 * 1024 * 1024 });
    done.child.stdin?.end(input);
    return (await done).stdout;
  }

  // biome-ignore lint/suspicious/noExplicitAny: objects of all kinds
  async get(...args: readonly string[]): Promise<any> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json']));
  }

  apply(text: string, ...args: readonly string[]): Promise<string> {
    return this.kubectl(['apply', '-f', '-', ...args], text);
  }

  /** Deletes what is there of it, and waits until it is gone. */
  delete(...args: readonly string[]): Promise<string> {
    return this.kubectl(['delete', '--ignore-not-found', '--timeout=60s', ...args]);
  }

  ready(pod: string, namespace = 'default'): Promise<string> {
    return this.kubectl(['-n', namespace, 'wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=90s']);
  }

  /** What a shell in the pod's application writes, whether or not it succeeds. */
  async shell(pod: string, command: string, namespace = 'default'): Promise<string> {
    const exec = ['-n', namespace, 'exec', pod, '--', 'sh', '-c', `${command} 2>&1 || true`];
    return (await this.kubectl(exec)).replaceAll('\r', '');
  }

  /** A program of the pod, spoken with: what it was sent, it answers until `until`, or it ends. */
  async speak(pod: string, command: readonly string[], input: string, until: RegExp, namespace = 'default'): Promise<string> {
    const child = spawn(join(KUBE, 'kubectl'), ['-n', namespace, 'exec', '-i', pod, '--', ...command]);
    const gone = once(child, 'close');
    const deadline = setTimeout(() => child.kill(), 20_000);
    let said = '';
    const hear = (bytes: Buffer) => {
      said += bytes.toString().replaceAll('\r', '');
      if (until.test(said)) child.stdin.end();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.stdin.on('error', () => undefined);
    child.stdin.write(input);
    await gone;
    clearTimeout(deadline);
    return said;
  }

  /** Gives the node's network another address: a server there is one outside of the mesh, and sees the addresses of pods. */
  async address(address: string): Promise<void> {
    await run('nsenter', [`--net=${NETWORK}`, 'ip', 'address', 'replace', `${address}/32`, 'dev', 'lo']);
    this.#addresses.add(address);
  }

  /** Starts kubectl with what it writes read line by line, until the end of the tests. */
  follow(args: readonly string[], onLine: (line: string) => void): ChildProcess {
    const child = spawn(join(KUBE, 'kubectl'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    createInterface({ input: child.stdout }).on('line', onLine);
    return child;
  }

  /** Starts a program in the node's network; resolves when it says that it serves. */
  async outside(program: string, args: readonly string[], serves: RegExp, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
    const child = spawn('nsenter', [`--net=${NETWORK}`, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#children.push(child);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error(`${program} does not say ${serves}: ${said}`)), 20_000).unref();
      const hear = (bytes: Buffer) => {
        said += bytes.toString();
        if (serves.test(said)) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.on('error', reject);
      child.on('exit', () => reject(new Error(`${program} ended: ${said}`)));
    });
    return child;
  }

  /** What a program in the node's network writes. */
  async ask(program: string, ...args: readonly string[]): Promise<string> {
    return (await run('nsenter', [`--net=${NETWORK}`, program, ...args])).stdout;
  }

  /** Asks until it is so: nothing tells when a proxy has taken over what was applied. */
  async until<T>(what: string, ask: () => Promise<T>, isSo: (answer: T) => boolean, timeoutMs = 60_000): Promise<T> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const answer = await ask();
      if (isSo(answer)) return answer;
      if (Date.now() > end) throw new Error(`${what}: ${String(answer)}`);
      await delay(250);
    }
  }

  /** Kills a container's process, as the kernel does that runs out of memory. */
  async kill(pod: string, container: string, namespace = 'default'): Promise<void> {
    const { status } = await this.get('pod', pod, '-n', namespace);
    const { containerID } = (status.containerStatuses as ContainerStatus[]).find(({ name }) => name === container)!;
    await this.#containerd('tasks', 'kill', '--signal', 'SIGKILL', containerID.replace('containerd://', ''));
  }

  /** The product's image under another tag, too. */
  async tagImage(tag: string): Promise<void> {
    const name = imageName();
    await this.#containerd('images', 'tag', '--force', name, name.replace(/:[^:]*$/, `:${tag}`));
  }

  async #containerd(...args: readonly string[]): Promise<void> {
    const script = '. "$1/env.sh" && shift && exec ctr -a "$RUN/containerd/c.sock" -n k8s.io "$@"';
    await run('bash', ['-c', script, 'bash', KUBE, ...args]);
  }

  /** Kills a part of the cluster (`etcd`, `apiserver`), and starts it again once `meanwhile` is done; resolves when the cluster answers. */
  async without(part: string, meanwhile: () => Promise<void>): Promise<void> {
    const pid = Number(readFileSync(join(labBinary('')!, '../run/pid', part), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await this.until(
      `${part} ends`,
      async () => existsSync(`/proc/${pid}`),
      (runs) => !runs,
    );
    try {
      await meanwhile();
    } finally {
      await run(join(KUBE, 'up.sh'));
    }
  }

  /** Takes the product away, and what was started beside it. */
  async stop(): Promise<void> {
    for (const child of this.#children) {
      child.removeAllListeners('exit');
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill();
      await gone;
    }
    for (const each of this.#addresses) await run('nsenter', [`--net=${NETWORK}`, 'ip', 'address', 'del', `${each}/32`, 'dev', 'lo']);
    rmSync(this.folder, { recursive: true, force: true });
    await this.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
  }
}

interface ContainerStatus {
  readonly name: string;
  /** `containerd://ID`. */
  readonly containerID: string;
}

interface Service {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly clusterIP?: string };
}
