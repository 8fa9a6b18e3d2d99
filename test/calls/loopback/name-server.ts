/** The lab's DNS: names of the outside world, on an ephemeral port of loopback. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { resolveName } from './topology.ts';

const NAME_ERROR = 3;

export class NameServer {
  readonly #socket = dgram.createSocket('udp4');

  /** `ttl`: seconds for which answers hold. */
  async start(ttl: number): Promise<void> {
    this.#socket.on('message', (message, from) => {
      const query = decode(message);
      const question = query.questions?.[0];
      const name = question?.name ?? '';
      const ips = resolveName(name);
      const answers: Answer[] = question?.type === 'A' ? ips.map((data) => ({ type: 'A', name, ttl, data })) : [];
      const flags = RECURSION_DESIRED | (ips.length === 0 ? NAME_ERROR : 0);
      const reply = encode({ type: 'response', id: query.id ?? 0, flags, questions: query.questions ?? [], answers });
      this.#socket.send(reply, from.port, from.address);
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
  }

  /** The text of a resolv.conf that asks it. */
  get resolvConf(): string {
    return `nameserver 127.0.0.1:${this.#socket.address().port}\noptions ndots:1\n`;
  }

  close(): void {
    this.#socket.close();
  }
}
