/** DNS of a workload whose Envoy has none: the names that its control plane has, as the agent hears of them. */
import { fromBinary } from '@bufbuild/protobuf';
import type { SocketAddress } from '../lib/socket-address.ts';
import { createDnsServer } from '../proxy/dns/server.ts';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { indexNames, type NameIndex } from '../xds/name-index.ts';

export class Names {
  #index: NameIndex | undefined;

  /** Whether the control plane has said which names there are. */
  get known(): boolean {
    return this.#index !== undefined;
  }

  /** @param table undefined: it has them no more. Throws for what does not decode; what was known before stays then. */
  came(table: Uint8Array | undefined): void {
    this.#index = table && indexNames(fromBinary(NameTableSchema, table));
  }

  /** Answers there. Rejects as `createDnsServer`. @param failed is told what goes wrong later */
  serve({ address: ip, port }: SocketAddress, failed: (reason: string) => void): Promise<{ close(): void }> {
    return createDnsServer({ address: { ip, port }, names: () => this.#index, now: () => performance.now(), log: failed });
  }
}
