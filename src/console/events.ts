/**
 * `GET /api/v1/events`: server-sent events (WHATWG HTML, 9.2). `state` and `findings` come first and whenever they change; `flows` are calls as they begin and end,
 * with the last one's number as the event's id. Whoever comes again with `Last-Event-ID` gets the calls since then; what is no longer kept, or was not taken in
 * time, is counted in `dropped`. Who may not see all gets the calls that are theirs to see.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FlowFilter } from '../flows/filter.ts';
import { cutFlow, type FlowMesh, lossSeen } from './flow-cut.ts';
import { type FlowRecord, Recorded, type RecordReader } from './flow-record.ts';
import { HEADERS } from './replies.ts';
import { EVERYTHING, type Sight } from './sight.ts';
import type { Visitor } from './visitors.ts';

/** A reader that is behind by more characters than this loses calls, and is told how many. */
const MOST_BEHIND = 1024 * 1024;
const MOST_STREAMS = 128;
/** Of one person, where people are told apart: nobody keeps the others out. */
const MOST_OF_ONE = 16;
/** Proxies between, and the client itself, take silence for an end. */
const HEARTBEAT_MS = 15_000;
/** Of calls that come together (some 200 ms) so many are told, those that went wrong first: nobody reads more, and a hundred readers would keep the thread busy. */
const MOST_TOLD = 500;
/** A console that comes without a number gets so many calls of the past that are for it to see, those that went wrong first. */
const MOST_PAST = 4_000;

/** What is told besides calls: name and data of each event. */
export type News = readonly (readonly [event: string, data: unknown])[];

/** Much may change at once: it is told together, so often, ms. */
const TELL_MS = 100;

export interface EventsOptions {
  /** Undefined where nothing is told of calls. */
  readonly record: FlowRecord | undefined;
  /** For whom, where people are told apart: the same for those of the same name who see the same. */
  readonly news: (guest: Visitor | undefined) => News;
  /** By which calls are cut to what somebody sees. */
  readonly mesh: () => FlowMesh;
}

export class Events {
  /** Numbers of another process mean nothing here. */
  readonly #epoch = randomBytes(4).toString('hex');
  readonly #options: EventsOptions;
  #telling: NodeJS.Timeout | undefined;
  readonly #streams = new Set<Stream>();

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** Why no other stream may be opened; undefined if one may. */
  refusal(guest: Visitor | undefined): string | undefined {
    const own = guest ? [...this.#streams].filter((stream) => stream.guest?.name === guest.name).length : 0;
    if (own >= MOST_OF_ONE) return `${MOST_OF_ONE} consoles of ${guest?.name} are open already, which is as many as one may have`;
    return this.#streams.size >= MOST_STREAMS ? `${MOST_STREAMS} consoles are open already, which is as many as may` : undefined;
  }

  /** There is news. */
  changed(): void {
    if (this.#streams.size === 0 || this.#telling) return;
    this.#telling = setTimeout(() => this.#tell(), TELL_MS).unref();
  }

  #tell(): void {
    this.#telling = undefined;
    const texts = new Map<string, string>();
    for (const stream of this.#streams) {
      const { guest } = stream;
      const key = guest ? `${guest.name} ${guest.sight.key}` : '';
      const text = texts.get(key) ?? this.#newsText(guest);
      texts.set(key, text);
      stream.send(text);
    }
  }

  /** @param after the id of the last event that was seen @param filter undefined for all calls @param guest whom it is for, where people are told apart */
  open(
    request: IncomingMessage,
    response: ServerResponse,
    filter: FlowFilter | undefined,
    after: string | undefined,
    guest?: Visitor,
  ): void {
    request.socket.setTimeout(0);
    request.socket.setKeepAlive(true, HEARTBEAT_MS);
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=UTF-8' });
    const { record, mesh } = this.#options;
    const stream = new Stream(response, { epoch: this.#epoch, filter, guest, mesh });
    this.#streams.add(stream);
    stream.send(this.#newsText(guest));
    const stop = record && this.#follow(record, stream, after);
    const heartbeat = setInterval(() => stream.send(':\n\n'), HEARTBEAT_MS).unref();
    // Not `ended`, which is the end of all: whoever is still let in comes again.
    const stay = guest?.whenOut(() => response.end());
    response.on('close', () => {
      stay?.();
      clearInterval(heartbeat);
      this.#streams.delete(stream);
      stop?.();
    });
  }

  end(): void {
    clearTimeout(this.#telling);
    for (const stream of this.#streams) stream.ended();
  }

  #follow(record: FlowRecord, stream: Stream, after: string | undefined): () => void {
    const [epoch, number] = after?.split('-') ?? [];
    const seen = epoch === this.#epoch && /^\d{1,15}$/.test(number ?? '') ? Number(number) : undefined;
    const { calls, lost } = record.after(seen ?? 0);
    // To whoever was not here before nothing is lost.
    if (seen !== undefined && lost > 0) stream.forgotten(lost);
    stream.takePast(calls, seen === undefined ? MOST_PAST : Number.POSITIVE_INFINITY);
    return record.read(stream);
  }

  #newsText(guest: Visitor | undefined): string {
    return this.#options
      .news(guest)
      .map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
      .join('');
  }
}

interface StreamOptions {
  readonly epoch: string;
  readonly filter: FlowFilter | undefined;
  readonly guest: Visitor | undefined;
  readonly mesh: () => FlowMesh;
}

class Stream implements RecordReader {
  readonly #response: ServerResponse;
  readonly #options: StreamOptions;
  #dropped = 0;
  /** Some more are missing: how many of those that are theirs to see is not known. */
  #lacksMore = false;

  constructor(response: ServerResponse, options: StreamOptions) {
    this.#response = response;
    this.#options = options;
  }

  get guest(): Visitor | undefined {
    return this.#options.guest;
  }

  get #sight(): Sight {
    return this.guest?.sight ?? EVERYTHING;
  }

  send(text: string): void {
    if (this.#response.writableLength <= MOST_BEHIND) this.#response.write(text);
  }

  /** As they come. */
  take(calls: readonly Recorded[]): void {
    const { epoch, filter, mesh } = this.#options;
    const told = () => toldOf(seenOf(calls, this.#sight, mesh()), { epoch, filter, most: MOST_TOLD });
    // The same for all who see the same and want all of it: made once.
    this.#tell(filter ? told() : onceFor(calls, this.#sight, told));
  }

  /** What is left out of the past nobody misses. */
  takePast(calls: readonly Recorded[], most: number): void {
    const { epoch, filter, mesh } = this.#options;
    this.#tell({ ...toldOf(seenOf(calls, this.#sight, mesh()), { epoch, filter, most }), left: 0 });
  }

  #tell({ text, count, left }: Told): void {
    if (this.#response.writableLength > MOST_BEHIND) {
      this.#dropped += count + left;
      return;
    }
    this.#dropped += left;
    this.#tellDropped();
    if (count > 0) this.#response.write(text);
  }

  dropped(count: number, proxy: string): void {
    const loss = lossSeen(proxy, this.#sight, this.#options.mesh());
    if (loss === 'counted') this.#dropped += count;
    else if (loss === 'uncounted') this.#lacksMore = true;
  }

  /** So many of all calls are no longer kept. */
  forgotten(count: number): void {
    if (this.#sight.namespaces) this.#lacksMore = true;
    else this.#dropped += count;
  }

  ended(): void {
    this.#tellDropped();
    this.#response.end('event: ended\ndata: {}\n\n');
  }

  #tellDropped(): void {
    if (this.#dropped === 0 && !this.#lacksMore) return;
    const dropped = { count: this.#dropped, ...(this.#lacksMore && { more: true }) };
    this.#response.write(`event: dropped\ndata: ${JSON.stringify(dropped)}\n\n`);
    this.#dropped = 0;
    this.#lacksMore = false;
  }
}

interface Told {
  /** The event, UTF-8. */
  readonly text: Buffer;
  /** How many calls are in it, and how many have ended that are not. */
  readonly count: number;
  readonly left: number;
}

const tellings = new WeakMap<readonly Recorded[], Map<string, Told>>();

function onceFor(calls: readonly Recorded[], { key }: Sight, make: () => Told): Told {
  const bySight = tellings.get(calls) ?? new Map<string, Told>();
  tellings.set(calls, bySight);
  const told = bySight.get(key) ?? make();
  bySight.set(key, told);
  return told;
}

interface Seen {
  readonly calls: readonly Recorded[];
  /** Number of the newest one, whether or not it is seen. */
  readonly last: number;
}

function seenOf(calls: readonly Recorded[], sight: Sight, mesh: FlowMesh): Seen {
  const last = calls.reduce((newest, { number }) => Math.max(newest, number), 0);
  if (!sight.namespaces) return { calls, last };
  const seen = calls.flatMap(({ number, flow }) => {
    const cut = cutFlow(flow, sight, mesh);
    return cut ? [new Recorded(number, cut)] : [];
  });
  return { calls: seen, last };
}

interface Telling {
  readonly epoch: string;
  readonly filter: FlowFilter | undefined;
  readonly most: number;
}

function toldOf({ calls, last }: Seen, { epoch, filter, most }: Telling): Told {
  const wanted = filter ? calls.filter(({ flow }) => filter(flow)) : calls;
  const told = fewOf(wanted, most);
  const id = last > 0 ? `id: ${epoch}-${last}\n` : '';
  return {
    text: Buffer.from(`${id}event: flows\ndata: [${told.map(({ text }) => text).join()}]\n\n`),
    count: told.length,
    left: endsOf(wanted) - endsOf(told),
  };
}

/** In their order; of those that did not go wrong the newest. */
function fewOf(calls: readonly Recorded[], most: number): readonly Recorded[] {
  if (calls.length <= most) return calls;
  const wentWrong = ({ flow: { verdict } }: Recorded) => verdict !== undefined && verdict !== 'allowed';
  const byUse = [...calls.filter((call) => !wentWrong(call)), ...calls.filter(wentWrong)];
  const chosen = new Set(byUse.slice(-most));
  return calls.filter((call) => chosen.has(call));
}

function endsOf(calls: readonly Recorded[]): number {
  return calls.reduce((sum, { number }) => sum + (number > 0 ? 1 : 0), 0);
}
