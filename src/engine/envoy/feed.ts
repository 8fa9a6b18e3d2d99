/** What an Envoy of this process is to run, served to it over ADS at a unix socket that this user alone can open. */
import type { GrpcServer, Handler } from '../../lib/grpc/server.ts';
import { startAdsServer } from '../../xds/ads/server.ts';
import type { AdsStream } from '../../xds/ads/stream.ts';
import type { Node } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { EMPTY_SET, type EncodedSet } from '../../xds/update.ts';
import type { Refusal } from '../contract.ts';
import { tellingSet, tellsOfCalls } from './flows/listeners.ts';

export interface FeedOptions {
  /** What else is served at the socket, by path. */
  readonly more: ReadonlyMap<string, Handler>;
  /** Envoy is too old to tell of its calls. */
  readonly silent: () => void;
}

export class Feed {
  readonly #options: FeedOptions;
  #tells = false;
  #server: GrpcServer | undefined;
  #set: EncodedSet = EMPTY_SET;
  /** Undefined until Envoy has opened it. */
  #stream: AdsStream | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Rejects as `listening`. */
  async listen(path: string): Promise<void> {
    this.#server ??= await startAdsServer({
      listen: { path },
      admit: (node, _peer, stream) => this.#admit(node, stream),
      more: this.#options.more,
    });
  }

  serve(set: EncodedSet): void {
    this.#set = set;
    this.#stream?.serve(this.#served);
  }

  /** Whether Envoy has answered all that it is served. */
  get isSettled(): boolean {
    return this.#stream?.isSettled === true;
  }

  /** What Envoy said no to, of what it is served. */
  get refusals(): readonly Refusal[] {
    return this.#stream?.refusals ?? [];
  }

  async close(): Promise<void> {
    await this.#server?.close(0);
  }

  get #served(): EncodedSet {
    return this.#tells ? tellingSet(this.#set) : this.#set;
  }

  #admit(node: Node, stream: AdsStream) {
    this.#stream = stream;
    this.#tells = tellsOfCalls(node);
    if (!this.#tells) this.#options.silent();
    stream.serve(this.#served);
    return {
      refused: () => {},
      left: () => {
        if (this.#stream === stream) this.#stream = undefined;
      },
    };
  }
}
