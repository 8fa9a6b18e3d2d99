/** What an Envoy of this process is to run, served to it over ADS at a unix socket that this user alone can open. */
import type { GrpcServer } from '../../lib/grpc/server.ts';
import { startAdsServer } from '../../xds/ads/server.ts';
import type { AdsStream } from '../../xds/ads/stream.ts';
import { EMPTY_SET, type EncodedSet } from '../../xds/update.ts';
import type { Refusal } from '../contract.ts';

export class Feed {
  #server: GrpcServer | undefined;
  #set: EncodedSet = EMPTY_SET;
  /** Undefined until Envoy has opened it. */
  #stream: AdsStream | undefined;

  /** Rejects as `listening`. */
  async listen(path: string): Promise<void> {
    this.#server ??= await startAdsServer({ listen: { path }, admit: (_node, _peer, stream) => this.#admit(stream) });
  }

  serve(set: EncodedSet): void {
    this.#set = set;
    this.#stream?.serve(set);
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

  #admit(stream: AdsStream) {
    this.#stream = stream;
    stream.serve(this.#set);
    return {
      refused: () => {},
      left: () => {
        if (this.#stream === stream) this.#stream = undefined;
      },
    };
  }
}
