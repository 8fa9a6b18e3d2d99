/** Names of the mesh for the application beside the proxy, as the control plane tells them (`nds.proto`); Istio's agent has them at port 15053. */
import { fromBinary } from '@bufbuild/protobuf';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { indexNames, type NameIndex } from '../xds/name-index.ts';

/** Starts the server that answers from the newest names. */
export type StartDns = (names: () => NameIndex) => Promise<{ close(): void }>;

export class AgentDns {
  readonly #start: StartDns;
  readonly #failed: (error: unknown) => void;
  #names: NameIndex | undefined;
  #server: Promise<{ close(): void }> | undefined;
  #ready = false;

  /** @param failed it cannot listen */
  constructor(start: StartDns, failed: (error: unknown) => void) {
    this.#start = start;
    this.#failed = failed;
  }

  /** Nobody is answered before there are names: that one does not exist would be remembered. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Takes an encoded table. Throws as decoding does. */
  take(table: Uint8Array): void {
    this.#names = indexNames(fromBinary(NameTableSchema, table));
    this.#server ??= this.#open();
    // Whether it failed was told.
    this.#server.catch(() => undefined);
  }

  async close(): Promise<void> {
    (await this.#server?.catch(() => undefined))?.close();
  }

  async #open(): Promise<{ close(): void }> {
    try {
      const server = await this.#start(() => this.#names!);
      this.#ready = true;
      return server;
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }
}
