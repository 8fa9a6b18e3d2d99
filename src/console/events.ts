/**
 * `GET /api/v1/events`: server-sent events (WHATWG HTML, 9.2). `state` and `findings` come first and whenever they change; `flows` are calls as they begin and end,
 * with the last one's number as the event's id. Whoever comes again with `Last-Event-ID` gets the calls since then; what is no longer kept, or was not taken in
 * time, is counted in `dropped`.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FlowFilter } from '../flows/filter.ts';
import type { FlowRecord, Recorded } from './flow-record.ts';
import { HEADERS } from './replies.ts';
import type { Visitor } from './visitors.ts';

/** A reader that is behind by more characters than this loses calls, and is told how many. */
const MOST_BEHIND = 1024 * 1024;
export const MOST_STREAMS = 128;
/** Proxies between, and the client itself, take silence for an end. */
const HEARTBEAT_MS = 15_000;
/** A console that comes without a number gets so many calls of the past. */
const MOST_PAST = 2_000;

/** What is told besides calls: name and data of each event. */
export type News = readonly (readonly [event: string, data: unknown])[];

/** Much may change at once: it is told together, so often, ms. */
const TELL_MS = 100;

export class Events {
  /** Numbers of another process mean nothing here. */
  readonly #epoch = randomBytes(4).toString('hex');
  readonly #record: FlowRecord | undefined;
  readonly #news: (guest: Visitor | undefined) => News;
  #telling: NodeJS.Timeout | undefined;
  readonly #streams = new Set<Stream>();

  /** @param news for whom, where people are told apart: the same for those of the same name who see the same */
  constructor(record: FlowRecord | undefined, news: (guest: Visitor | undefined) => News) {
    this.#record = record;
    this.#news = news;
  }

  get count(): number {
    return this.#streams.size;
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

  /** @param after the id of the last event that was seen @param guest whom it is for, where people are told apart */
  open(request: IncomingMessage, response: ServerResponse, filter: FlowFilter, after: string | undefined, guest?: Visitor): void {
    request.socket.setTimeout(0);
    request.socket.setKeepAlive(true, HEARTBEAT_MS);
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream; charset=UTF-8' });
    const stream = new Stream(response, this.#epoch, filter, guest);
    this.#streams.add(stream);
    stream.send(this.#newsText(guest));
    const stop = this.#record && this.#follow(this.#record, stream, after);
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
    if (seen !== undefined) stream.dropped(lost);
    stream.take(seen === undefined ? calls.slice(-MOST_PAST) : calls);
    return record.read(stream);
  }

  #newsText(guest: Visitor | undefined): string {
    return this.#news(guest)
      .map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
      .join('');
  }
}

class Stream {
  readonly guest: Visitor | undefined;
  readonly #response: ServerResponse;
  readonly #epoch: string;
  readonly #filter: FlowFilter;
  #dropped = 0;

  constructor(response: ServerResponse, epoch: string, filter: FlowFilter, guest: Visitor | undefined) {
    this.guest = guest;
    this.#response = response;
    this.#epoch = epoch;
    this.#filter = filter;
  }

  send(text: string): void {
    if (this.#response.writableLength <= MOST_BEHIND) this.#response.write(text);
  }

  take(calls: readonly Recorded[]): void {
    const wanted = calls.filter(({ flow }) => this.#filter(flow));
    if (this.#response.writableLength > MOST_BEHIND) {
      this.#dropped += wanted.length;
      return;
    }
    this.#tellDropped();
    const last = calls.reduce((most, { number }) => Math.max(most, number), 0);
    if (wanted.length === 0) return;
    const id = last > 0 ? `id: ${this.#epoch}-${last}\n` : '';
    this.#response.write(`${id}event: flows\ndata: [${wanted.map(({ text }) => text).join()}]\n\n`);
  }

  dropped(count: number): void {
    this.#dropped += count;
  }

  ended(): void {
    this.#tellDropped();
    this.#response.end('event: ended\ndata: {}\n\n');
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    this.#response.write(`event: dropped\ndata: ${JSON.stringify({ count: this.#dropped })}\n\n`);
    this.#dropped = 0;
  }
}
