/**
 * The flows of an Envoy, of the entries of its access log. As long as nobody watches, entries stay the bytes that they are; of those the last ones are kept.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { type FlowDelivery, type FlowSource, MOST_RECENT, type ProxyFlow } from '../../../flows/flow.ts';
import { beginOf, endOf, type FlowNames } from '../../../proxy/flow-of-call.ts';
import {
  AccessLogCommonSchema,
  type HTTPAccessLogEntry,
  HTTPAccessLogEntrySchema,
} from '../../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import {
  StreamAccessLogsMessage_HTTPAccessLogEntriesSchema,
  StreamAccessLogsMessageSchema,
} from '../../../xds/gen/envoy/service/accesslog/v3/als_pb.js';
import { lastValue, splitMessage } from '../../../xds/wire.ts';
import { type Entry, entryOf } from './entry.ts';

export interface EnvoyFlowsOptions extends FlowNames {
  /** Now, in ms since the epoch. */
  readonly date: () => number;
  /** Has Envoy tell of beginnings, or no more; rejects while it does not answer. */
  readonly tellAll: (tell: boolean) => Promise<void>;
  /** Entries that Envoy has sent so far, and that it has given up; rejects while it does not answer. */
  readonly counted: () => Promise<{ readonly written: number; readonly dropped: number }>;
}

/** Of messages whose calls may be asked for later, bytes. */
const MOST_KEPT = 1024 * 1024;
/** Calls that have begun while somebody watched, and have not ended. */
const MOST_BEGUN = 50_000;
/** Between two looks at what is still to come, ms. */
const POLL_MS = 15;
/** Between two questions for what was lost, while somebody watches, ms. */
const LOST_MS = 2000;

export class EnvoyFlows implements FlowSource {
  readonly #options: EnvoyFlowsOptions;
  #deliver: FlowDelivery | undefined;
  #dropped: (count: number) => void = () => {};
  #asking: NodeJS.Timeout | undefined;
  #lost: number | undefined;
  #since = 0;
  /** What Envoy was told of beginnings. */
  #tells = false;
  readonly #begun = new Set<string>();
  /** The last messages, oldest first, and their bytes. */
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #unnamed = 0;
  /** Entries that have come. */
  #taken = 0;

  constructor(options: EnvoyFlowsOptions) {
    this.#options = options;
  }

  async watchFlows(deliver: FlowDelivery | undefined, dropped: (count: number) => void): Promise<void> {
    const begins = deliver !== undefined && this.#deliver === undefined;
    this.#deliver = deliver;
    this.#dropped = dropped;
    if (begins) this.#since = this.#options.date();
    await this.follow();
    if (begins) {
      // One that has told of nothing is about to start.
      const before = this.#taken === 0 ? 0 : undefined;
      this.#lost = await this.#options.counted().then(
        ({ dropped }) => dropped,
        () => before,
      );
      this.#asking = setInterval(() => void this.tellLost(), LOST_MS).unref();
    } else if (!deliver) {
      clearInterval(this.#asking);
      this.#begun.clear();
    }
  }

  /** Has Envoy tell of beginnings while somebody watches; to be called once it runs. Until it has heard of it, calls begin where they end. */
  async follow(): Promise<void> {
    const tell = this.#deliver !== undefined;
    if (tell === this.#tells) return;
    await this.#options.tellAll(tell).then(
      () => {
        this.#tells = tell;
      },
      () => {},
    );
  }

  async recentFlows(): Promise<readonly ProxyFlow[]> {
    const ends = this.#kept.flatMap((message) => entriesIn(message).entries).filter(({ begins }) => !begins);
    return ends.slice(-MOST_RECENT).map(({ told, id }) => endOf(told, this.#idOf(id), this.#options));
  }

  /** A message of Envoy's access log. Throws for bytes that are none. */
  take(message: Uint8Array): void {
    this.#taken += countIn(message);
    if (this.#deliver) {
      const { entries, unread } = entriesIn(message);
      for (const entry of entries) this.#tell(entry, this.#deliver);
      if (unread > 0) this.#dropped(unread);
    }
    this.#kept.push(message);
    this.#keptBytes += message.length;
    while (this.#keptBytes > MOST_KEPT && this.#kept.length > 1) this.#keptBytes -= this.#kept.shift()!.length;
  }

  /** Tells whoever watches what Envoy has given up since it was last asked. */
  async tellLost(): Promise<void> {
    const counted = await this.#options.counted().catch(() => undefined);
    if (!counted) return;
    const lost = counted.dropped;
    if (this.#lost !== undefined && lost > this.#lost) this.#dropped(lost - this.#lost);
    this.#lost = lost;
  }

  /** For whoever watches an Envoy that is about to end: resolves when all of its entries have come, or after so many ms. */
  async complete(mostMs: number): Promise<void> {
    if (!this.#deliver) return;
    const end = performance.now() + mostMs;
    while (performance.now() < end) {
      const counted = await this.#options.counted().catch(() => undefined);
      if (!counted || this.#taken >= counted.written) break;
      await delay(POLL_MS);
    }
    await this.tellLost();
  }

  close(): void {
    clearInterval(this.#asking);
  }

  #tell({ id: given, begins, told }: Entry, deliver: FlowDelivery): void {
    const id = this.#idOf(given);
    const isNew = told.startTime >= this.#since;
    if (begins) {
      // One too many begins where it ends.
      if (!isNew || this.#begun.size >= MOST_BEGUN) return;
      this.#begun.add(id);
      deliver(beginOf(told, id, this.#options));
      return;
    }
    if (!this.#begun.delete(id) && isNew) deliver(beginOf(told, id, this.#options));
    deliver(endOf(told, id, this.#options));
  }

  #idOf(id: string): string {
    return id === '' ? `n${++this.#unnamed}` : id;
  }
}

const { number: LOGS } = StreamAccessLogsMessageSchema.field.httpLogs;
const { number: ENTRIES } = StreamAccessLogsMessage_HTTPAccessLogEntriesSchema.field.logEntry;

const { number: COMMON } = HTTPAccessLogEntrySchema.field.commonProperties;
const { number: STREAM_ID } = AccessLogCommonSchema.field.streamId;

/** Without decoding them. */
function countIn(message: Uint8Array): number {
  return encodedIn(message).length;
}

function encodedIn(message: Uint8Array): readonly Uint8Array[] {
  const logs = lastValue(message, LOGS);
  return logs ? splitMessage(logs, ENTRIES).parts : [];
}

/** What of a message can be read, and how many entries cannot. */
function entriesIn(message: Uint8Array): { readonly entries: readonly Entry[]; readonly unread: number } {
  const entries: Entry[] = [];
  let unread = 0;
  for (const bytes of encodedIn(message)) {
    try {
      const entry = entryOf(decoded(bytes));
      if (entry) entries.push(entry);
    } catch {
      unread += 1;
    }
  }
  return { entries, unread };
}

/** Without its stream_id: of the texts of clients Envoy has all but that one in UTF-8 (1.40). */
function decoded(bytes: Uint8Array): HTTPAccessLogEntry {
  const { rest, parts } = splitMessage(bytes, COMMON);
  const entry = fromBinary(HTTPAccessLogEntrySchema, rest);
  for (const common of parts) entry.commonProperties = fromBinary(AccessLogCommonSchema, splitMessage(common, STREAM_ID).rest);
  return entry;
}
