/** JSON-RPC 2.0 as the Language Server Protocol has it: one message after the other, each answered before the next is read. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { messageOf } from '../lib/errors.ts';
import { FrameError, FrameReader, framed, messageIn } from './frames.ts';

/** The protocol's codes of errors. */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  noSuchMethod: -32601,
  invalidParams: -32602,
  internal: -32603,
  notInitialized: -32002,
} as const;

/** An answer to a request that says what is wrong with it. */
export class RequestError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the other side says. */
export interface Peer {
  /** Resolves with the result. Rejects with `RequestError` or what broke. */
  request(method: string, params: unknown): Promise<unknown>;
  notified(method: string, params: unknown): Promise<void>;
  /** Whether nothing more is to be read. */
  readonly isOver: boolean;
}

type Id = number | string;

export class Connection {
  readonly #output: Writable;
  #requests = 0;
  #open = true;

  constructor(output: Writable) {
    this.#output = output;
    output.on('error', () => {
      this.#open = false;
    });
  }

  notify(method: string, params: unknown): void {
    this.#send({ method, params });
  }

  /** What the client answers makes no difference. */
  ask(method: string, params: unknown): void {
    this.#requests++;
    this.#send({ id: `sallyport-${this.#requests}`, method, params });
  }

  /** Resolves when the client has read nearly all that was written: who does not read is not written to. */
  async drained(): Promise<void> {
    if (this.#open && this.#output.writableNeedDrain) await once(this.#output, 'drain').catch(() => undefined);
  }

  /** Resolves at the end of the input, or when the peer is done. Rejects with `FrameError`. */
  async listen(input: Readable, peer: Peer): Promise<void> {
    const frames = new FrameReader();
    for await (const part of input) {
      try {
        for (const body of frames.push(part as Buffer)) {
          await this.#take(messageIn(body), peer);
          await this.drained();
          if (peer.isOver || !this.#open) return;
        }
      } catch (error) {
        if (error instanceof FrameError) this.#send({ id: null, error: { code: RPC.parse, message: error.message } });
        throw error;
      }
    }
  }

  async #take(message: unknown, peer: Peer): Promise<void> {
    if (message === undefined) return this.#refuse(null, RPC.parse, 'the message is not JSON in UTF-8, or nested too deeply');
    if (typeof message !== 'object' || message === null || Array.isArray(message))
      return this.#refuse(null, RPC.invalidRequest, 'the message is no object');
    const { id, method, params } = message as Record<string, unknown>;
    // An answer to something that was asked.
    if (method === undefined && id !== undefined) return;
    if (typeof method !== 'string') return this.#refuse(null, RPC.invalidRequest, 'the message has no method');
    if (id === undefined) return peer.notified(method, params);
    if (typeof id !== 'number' && typeof id !== 'string') return this.#refuse(null, RPC.invalidRequest, 'the id is no number and no text');
    return this.#answer(id, () => peer.request(method, params));
  }

  async #answer(id: Id, work: () => Promise<unknown>): Promise<void> {
    try {
      this.#send({ id, result: (await work()) ?? null });
    } catch (error) {
      this.#refuse(id, error instanceof RequestError ? error.code : RPC.internal, messageOf(error));
    }
  }

  #refuse(id: Id | null, code: number, message: string): void {
    this.#send({ id, error: { code, message } });
  }

  #send(message: object): void {
    if (this.#open) this.#output.write(framed({ jsonrpc: '2.0', ...message }));
  }
}
