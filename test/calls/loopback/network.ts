/** The call table's network on one machine's loopback: echo servers, DNS and clients in this process, one process for each proxy. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Call, Observation } from '../cases.ts';
import { Client } from '../client.ts';
import { EchoServers, outsideListeners, podListeners } from '../echo.ts';
import type { LogLine } from '../observe.ts';
import { Recorder } from '../recorder.ts';
import { AddressMap, podNumber } from './addresses.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { captures, loopbackConnect } from './connect.ts';
import { fixedObjects } from './fixed-objects.ts';
import { NameServer } from './name-server.ts';
import { PODS, type Pod } from './topology.ts';

export interface NetworkOptions {
  /** The command of a pod's proxy; what it prints on stdout as JSON lines with `flags` is its access log. Paths are the pod's. */
  readonly command: (pod: Pod, network: LoopbackNetwork) => { readonly script: string; readonly args: readonly string[] };
}

export class LoopbackNetwork {
  readonly map: AddressMap;
  readonly folder: string;
  readonly certificates: Certificates;
  /** Path of the lab's own objects. */
  readonly fixed: string;
  readonly #options: NetworkOptions;
  readonly #echo: EchoServers;
  readonly #recorder: Recorder;
  readonly #dns = new NameServer();
  readonly #children: ChildProcess[] = [];
  readonly #errors = new Map<string, string>();
  readonly #ended = new Set<string>();

  static async start(options: NetworkOptions): Promise<LoopbackNetwork> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-calls-'));
    mkdirSync(join(folder, 'certs'));
    try {
      const certificates = await makeCertificates(join(folder, 'certs'));
      // Another network on this machine has another number, most likely; where not, its addresses are in use and starting fails.
      const network = new LoopbackNetwork(options, folder, certificates, 16 + (process.pid % 230));
      await network.#start();
      return network;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(options: NetworkOptions, folder: string, certificates: Certificates, octet: number) {
    this.#options = options;
    this.folder = folder;
    this.certificates = certificates;
    this.map = new AddressMap(octet);
    this.fixed = join(folder, 'fixed.yaml');
    const client = new Client(loopbackConnect(this.map), certificates);
    this.#recorder = new Recorder((call) => client.call(call));
    this.#echo = new EchoServers(
      (hit) => this.#recorder.hit(hit),
      (address) => this.map.lab({ ip: address, port: 0 })?.ip ?? address,
    );
  }

  async #start(): Promise<void> {
    writeFileSync(this.fixed, fixedObjects(this.certificates));
    const inPods = PODS.flatMap(({ name, ip, appPorts }) =>
      podListeners(name, '127.0.0.1', appPorts).map((each) => ({ ...each, real: this.map.real(each.at, podNumber(ip))! })),
    );
    const outside = outsideListeners().map((each) => ({ ...each, real: this.map.real(each.at, 0)! }));
    await this.#echo.start([...outside, ...inPods], this.certificates);
    await this.#dns.start(5);
    const files = this.#podFiles();
    for (const pod of PODS) if (pod.kind !== 'none') this.#startProxy(pod, files);
  }

  /** What a pod has at the paths that a configuration or the product names. */
  #podFiles(): Record<string, string> {
    const contents: Record<string, string> = {
      '/etc/resolv.conf': this.#dns.resolvConf,
      '/etc/hosts': '127.0.0.1 localhost\n',
      '/etc/ssl/certs/ca-certificates.crt': this.certificates.ca,
      '/etc/istio/lab/ca.crt': this.certificates.ca,
      '/etc/istio/lab/private-ca.crt': this.certificates.privateCa,
      '/etc/istio/lab/client.crt': this.certificates.named.get('client')!.cert,
      '/etc/istio/lab/client.key': this.certificates.named.get('client')!.key,
    };
    mkdirSync(join(this.folder, 'pod'));
    return Object.fromEntries(
      Object.entries(contents).map(([path, content]) => {
        const real = join(this.folder, 'pod', path.slice(1).replaceAll('/', '-'));
        writeFileSync(real, content, { mode: 0o600 });
        return [path, real];
      }),
    );
  }

  #startProxy(pod: Pod, files: Record<string, string>): void {
    const { script, args } = this.#options.command(pod, this);
    const preload = pathToFileURL(join(import.meta.dirname, 'preload.ts')).href;
    const settings = JSON.stringify({ pod: pod.name, octet: this.map.octet, files });
    const child = spawn(process.execPath, ['--import', preload, script, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LOOPBACK_POD: settings, NODE_TEST_CONTEXT: undefined },
    });
    this.#children.push(child);
    child.on('exit', () => this.#ended.add(pod.name));
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#logged(pod, line);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors.set(pod.name, ((this.#errors.get(pod.name) ?? '') + text).slice(-20_000));
      if (process.env.CALLS_VERBOSE) process.stderr.write(text.replaceAll(/^(?=.)/gm, `${pod.name}: `));
    });
  }

  #logged(pod: Pod, line: string): void {
    if (!line.startsWith('{')) return;
    const fields = JSON.parse(line) as LogLine['fields'];
    if (!('flags' in fields)) return;
    this.#recorder.logged({ pod, fields });
  }

  /** What a pod's proxy has written on stderr, for a failure's message. */
  errorsOf(pod: string): string {
    return this.#errors.get(pod) ?? '';
  }

  /** Resolves when every sidecar takes its pod's connections; fails if one does not in half a minute, with what it wrote. */
  async listening(): Promise<void> {
    const end = performance.now() + 30_000;
    for (const pod of PODS) {
      if (pod.kind !== 'sidecar') continue;
      while (!(await captures(this.map, pod))) {
        if (performance.now() > end) throw new Error(`the proxy of ${pod.name} takes no connections: ${this.errorsOf(pod.name)}`);
        await delay(20);
      }
    }
  }

  /** Resolves when every proxy serves a configuration; fails where one ends before. */
  async ready(): Promise<void> {
    await Promise.all(
      PODS.filter((pod) => pod.kind !== 'none').map(async (pod) => {
        const end = performance.now() + 60_000;
        for (;;) {
          const status = await this.#status(pod, 'GET', '/healthz/ready').catch(() => undefined);
          if (status?.code === 200) return;
          if (performance.now() > end || this.#ended.has(pod.name))
            throw new Error(`${pod.name} does not get ready: ${this.errorsOf(pod.name)}`);
          await delay(50);
        }
      }),
    );
  }

  /** Has every proxy read its files again; resolves when all serve what they say. */
  async reload(): Promise<void> {
    const proxies = PODS.filter((pod) => pod.kind !== 'none');
    const answers = await Promise.all(proxies.map((pod) => this.#status(pod, 'POST', '/reload')));
    for (const [index, { code, body }] of answers.entries()) {
      if (code !== 200) throw new Error(`${proxies[index]!.name} does not serve the configuration: ${code} ${body}`);
    }
  }

  /** Asks the status server of a pod's proxy. */
  #status(pod: Pod, method: string, path: string): Promise<{ code: number; body: string }> {
    const real = this.map.real({ ip: '127.0.0.1', port: 15_021 }, podNumber(pod.ip))!;
    return new Promise((resolve, reject) => {
      const asked = request({ host: real.ip, port: real.port, method, path, agent: false }, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          body += part;
        });
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      });
      asked.on('error', reject).end();
    });
  }

  /** Makes a call and returns what it did. */
  perform(call: Call): Promise<Observation> {
    return this.#recorder.perform(call);
  }

  async close(): Promise<void> {
    const exits = this.#children
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map((child) => once(child, 'exit'));
    // Proxies would drain; nothing of theirs is wanted any more.
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(exits);
    this.#echo.close();
    this.#dns.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
