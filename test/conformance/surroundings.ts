/** What the lab's cluster lacks of a cluster: names of Services, and load balancers. */
import { createSocket, type Socket } from 'node:dgram';
import { decode, encode, type Packet } from 'dns-packet';
import { isMapping } from '../../src/api/decode.ts';
import type { ApiClient } from '../../src/config/kubernetes/client.ts';
import { watchAll } from './watch.ts';

const DOMAIN = '.svc.cluster.local';

export class Surroundings {
  readonly #client: ApiClient;
  readonly #abort = new AbortController();
  readonly #addresses = new Map<string, string>();
  readonly #balanced = new Map<string, string>();
  #socket: Socket | undefined;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** Resolves when names are answered. @param address of the DNS server, port 53 */
  async start(address: string): Promise<void> {
    const socket = createSocket('udp4');
    this.#socket = socket;
    socket.on('message', (message, from) => socket.send(this.#answer(message), from.port, from.address));
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(53, address, resolve);
    });
    const see = (service: Record<string, unknown>) => void this.#see(service);
    watchAll(this.#client, '/api/v1/services', see, this.#abort.signal);
  }

  close(): void {
    this.#abort.abort();
    this.#socket?.close();
  }

  async #see({ metadata, spec }: Record<string, unknown>): Promise<void> {
    if (!isMapping(metadata) || !isMapping(spec)) return;
    const key = `${metadata.name}.${metadata.namespace}`;
    if (typeof spec.clusterIP === 'string') this.#addresses.set(key, spec.clusterIP);
    if (spec.type !== 'LoadBalancer' || this.#balanced.get(key) === metadata.uid) return;
    this.#balanced.set(key, String(metadata.uid));
    const asked = typeof spec.loadBalancerIP === 'string' ? spec.loadBalancerIP : undefined;
    const ip = asked ?? `10.251.${this.#balanced.size >> 8}.${(this.#balanced.size & 255) + 1}`;
    const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/status`;
    const status = { loadBalancer: { ingress: [{ ip }] } };
    // A Service that is gone meanwhile needs none.
    await this.#client.send('PATCH', path, { status }, 'application/merge-patch+json').catch(() => undefined);
  }

  #answer(message: Buffer): Buffer {
    const query = decode(message);
    const [question] = query.questions ?? [];
    const name = question?.name ?? '';
    const address = name.endsWith(DOMAIN) ? this.#addresses.get(name.slice(0, -DOMAIN.length)) : undefined;
    const answers = address && question?.type === 'A' ? [{ type: 'A' as const, name, ttl: 5, data: address }] : [];
    const NXDOMAIN = 3;
    const reply: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags: address ? 0 : NXDOMAIN,
      questions: query.questions ?? [],
      answers,
    };
    return encode(reply);
  }
}
