/** A whole mesh that runs: a data plane in a thread for each pod with a proxy, DNS, the servers outside, and applications that call. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { create } from '@bufbuild/protobuf';
import { shareUpdate } from '../../src/proxy/shared-bytes.ts';
import type { Call } from '../../src/simulate/call.ts';
import { NameTableSchema } from '../../src/xds/gen/istio/nds_pb.js';
import type { XdsResources } from '../../src/xds/resources.ts';
import { EMPTY_SET, type EncodedSet, encodeSet, unsettled, updateBetween } from '../../src/xds/update.ts';
import { AddressMap, podNumber } from '../calls/loopback/addresses.ts';
import { type Certificates, makeCertificates } from '../calls/loopback/certificates.ts';
import { NameServer } from '../calls/loopback/name-server.ts';
import { PODS, type Pod } from '../calls/loopback/topology.ts';
import { type Made, makeCall } from './client.ts';
import { OutsideWorld } from './outside.ts';
import type { PlaneRequest } from './plane-worker.ts';

/** One line of a proxy's access log. */
export interface LogLine {
  readonly pod: string;
  /** `ip:port` of who called, and from where the proxy called on; `-` where there is none. */
  readonly remote: string;
  readonly local: string;
  /** The call's id in a header, or null. */
  readonly call: string | null;
  readonly cluster: string | null;
  readonly flags: string | null;
  readonly code: number;
  readonly details: string | null;
  readonly host: string | null;
  readonly route: string | null;
}

/** MeshConfig of every configuration, beneath its own. */
export const ACCESS_LOG = {
  accessLogFile: '/dev/stdout',
  accessLogEncoding: 'JSON',
  accessLogFormat: JSON.stringify({
    remote: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
    local: '%UPSTREAM_LOCAL_ADDRESS%',
    call: '%REQ(X-CALL)%',
    cluster: '%UPSTREAM_CLUSTER_RAW%',
    flags: '%RESPONSE_FLAGS%',
    code: '%RESPONSE_CODE%',
    details: '%RESPONSE_CODE_DETAILS%',
    host: '%UPSTREAM_HOST%',
    route: '%ROUTE_NAME%',
  }),
};

const NOTHING: XdsResources = { listeners: [], routes: [], clusters: [], endpoints: [], secrets: [], nameTable: create(NameTableSchema) };
/** How long what a log should hold may take to come. */
const LATE_MS = 4000;

function firstOctet(): number {
  return 16 + ((process.pid + 115) % 230);
}

interface Plane {
  readonly pod: Pod;
  readonly worker: Worker;
  inForce: EncodedSet;
}

export class RunningMesh {
  readonly certificates: Certificates;
  #map: AddressMap;
  readonly #folder: string;
  readonly #planes = new Map<string, Plane>();
  readonly #dns = new NameServer();
  readonly #answers = new Map<number, (rejected: readonly string[]) => void>();
  #outside: OutsideWorld | undefined;
  #lines: LogLine[] = [];
  /** What proxies complained of since the last configuration. */
  complaints: string[] = [];
  #wake: (() => void)[] = [];
  #requests = 0;
  #calls = 0;

  /** Needs Linux (all of 127/8 is local) and openssl. */
  static async start(): Promise<RunningMesh> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-property-'));
    try {
      mkdirSync(join(folder, 'certs'));
      const mesh = new RunningMesh(folder, await makeCertificates(join(folder, 'certs')));
      await mesh.#start();
      return mesh;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(folder: string, certificates: Certificates) {
    this.#folder = folder;
    this.certificates = certificates;
    this.#map = new AddressMap(firstOctet());
  }

  async #start(): Promise<void> {
    const applications = PODS.filter(({ appPorts }) => appPorts.length > 0).map((pod) => ({
      pod: pod.name,
      number: podNumber(pod.ip),
      ports: pod.appPorts,
    }));
    // Another network on this machine may have the same number, which is one of its process as well.
    for (let i = 0; !this.#outside; i++) {
      this.#map = new AddressMap(16 + ((firstOctet() - 16 + i * 57) % 230));
      this.#outside = await OutsideWorld.start(this.#map, this.certificates, applications).catch((error) => {
        if (i === 3) throw error;
        return undefined;
      });
    }
    await this.#dns.start(3600);
    const files = this.#podFiles();
    await Promise.all(PODS.filter(({ kind, name }) => kind !== 'none' && name !== 'ingress').map((pod) => this.#startPlane(pod, files)));
  }

  /** What a pod has at the paths that the product names. */
  #podFiles(): Record<string, string> {
    const contents: Record<string, string> = {
      '/etc/resolv.conf': this.#dns.resolvConf,
      '/etc/hosts': '127.0.0.1 localhost\n',
      '/etc/ssl/certs/ca-certificates.crt': this.certificates.ca,
    };
    return Object.fromEntries(
      Object.entries(contents).map(([path, content]) => {
        const real = join(this.#folder, path.slice(1).replaceAll('/', '-'));
        writeFileSync(real, content);
        return [path, real];
      }),
    );
  }

  async #startPlane(pod: Pod, files: Record<string, string>): Promise<void> {
    const settings = JSON.stringify({ pod: pod.name, octet: this.#map.octet, files });
    const worker = new Worker(new URL('./plane-worker.ts', import.meta.url), { workerData: settings, env: { ...process.env } });
    const started = new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('message', (message) => {
        if (message.started) resolve();
        else if (message.line !== undefined) this.#logged(pod, message.line as string);
        else if (message.complaint !== undefined) this.complaints.push(`${pod.name}: ${message.complaint}`);
        else this.#answers.get(message.id)!(message.rejected);
      });
    });
    this.#planes.set(`${pod.namespace}/${pod.name}`, { pod, worker, inForce: EMPTY_SET });
    await started;
  }

  #logged(pod: Pod, line: string): void {
    this.#lines.push({ pod: `${pod.namespace}/${pod.name}`, ...JSON.parse(line) });
    for (const wake of this.#wake.splice(0)) wake();
  }

  /** Names of the proxies, as `namespace/name`. */
  get proxies(): readonly string[] {
    return [...this.#planes.keys()];
  }

  /** Makes these sets the proxies' whole configuration, for those that are not named none at all; resolves with what they refused once all serve it. */
  async apply(sets: ReadonlyMap<string, XdsResources>): Promise<string[]> {
    this.complaints = [];
    const rejected = await Promise.all(
      [...this.#planes].map(async ([name, plane]) => {
        const after = encodeSet(sets.get(name) ?? NOTHING);
        const update = updateBetween(plane.inForce, after);
        const refused = update ? await this.#ask(plane, shareUpdate(update)) : [];
        // What was refused is not in force: all of it comes whole the next time.
        plane.inForce = refused.length > 0 ? unsettled(after, new Set(after.resources.keys())) : after;
        return refused;
      }),
    );
    this.#lines = [];
    return rejected.flat();
  }

  #ask({ worker }: Plane, update: PlaneRequest['update']): Promise<readonly string[]> {
    const id = ++this.#requests;
    return new Promise((resolve) => {
      this.#answers.set(id, (rejected) => {
        this.#answers.delete(id);
        resolve(rejected);
      });
      worker.postMessage({ id, update } satisfies PlaneRequest);
    });
  }

  /** Makes a call; its id tells its log lines. */
  async call(pod: Pod, call: Call): Promise<Made & { readonly id: string }> {
    const id = ++this.#calls;
    return { ...(await makeCall(this.#map, pod, call, id, this.certificates.named.get('client')!)), id: String(id) };
  }

  /** The line that `wanted` holds for, once it is there; undefined if it does not come. */
  async line(wanted: (line: LogLine) => boolean): Promise<LogLine | undefined> {
    const end = performance.now() + LATE_MS;
    for (;;) {
      const found = this.#lines.find(wanted);
      if (found) return found;
      const left = end - performance.now();
      if (left <= 0) return undefined;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Lines since the last configuration. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#planes.values()].map(({ worker }) => worker.terminate()));
    this.#outside?.close();
    this.#dns.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
