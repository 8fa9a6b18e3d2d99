/** `GET /flows`: the flows of this process from now on, and with `last=N` those of the calls that ended last before them, a line of JSON each, until the client goes away or the process ends. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../lib/errors.ts';
import { type FlowFilter, flowFilter, lastAsked } from './filter.ts';
import type { Dropped, Flow } from './flow.ts';
import type { FlowHub } from './hub.ts';

export const FLOWS_PATH = '/flows';
/** A reader that is behind by more characters than this loses flows, and is told how many. */
const MOST_BEHIND = 1024 * 1024;
/** Each may hold as much memory as that. */
const MOST_WATCHERS = 16;
/** How often a connection on which nothing happens is tried, ms: its client may be gone without a word. */
const PROBE_MS = 30_000;

/** @param also besides what the query asks for */
export function streamFlows(hub: FlowHub, request: IncomingMessage, response: ServerResponse, also?: FlowFilter): void {
  request.resume();
  if (request.method !== 'GET') {
    refuse(response, 405, 'flows are read with GET');
    return;
  }
  if (hub.watchers >= MOST_WATCHERS) {
    refuse(response, 503, `${MOST_WATCHERS} watch already, which is as many as may`);
    return;
  }
  let filter: FlowFilter;
  let last: number;
  try {
    const query = new URL(request.url ?? '/', 'http://flows').searchParams;
    filter = flowFilter(query);
    last = lastAsked(query);
  } catch (error) {
    refuse(response, 400, messageOf(error));
    return;
  }
  // Silence is no fault of the client's: there may be no call for hours.
  request.socket.setTimeout(0);
  request.socket.setKeepAlive(true, PROBE_MS);
  const lines = new Lines(response);
  const watcher = {
    filter: also ? (flow: Flow) => also(flow) && filter(flow) : filter,
    take: (flow: Flow) => lines.add(flow),
    dropped: (count: number) => lines.drop(count),
    ended: () => lines.end(),
  };
  const watching = hub.watch(watcher, last);
  response.on('close', () => void watching.then((end) => end()));
  void watching.then(() => {
    if (response.destroyed) return;
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-cache, max-age=0',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    });
    response.flushHeaders();
    lines.open();
  });
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=UTF-8', 'x-content-type-options': 'nosniff', connection: 'close' });
  response.end(`${why}\n`);
}

/** Where lines go; `writableLength` is what the client has not taken yet. */
type LineStream = Pick<ServerResponse, 'write' | 'end' | 'writableLength'>;

/** The lines of one reader: written together once the thread has a moment, and left out while the reader is too far behind. */
export class Lines {
  readonly #stream: LineStream;
  readonly #date: () => number;
  #waiting = '';
  #dropped = 0;
  #open = false;
  #scheduled = false;

  /** @param date now, in ms since the epoch */
  constructor(stream: LineStream, date: () => number = Date.now) {
    this.#stream = stream;
    this.#date = date;
  }

  /** Lines may go out from now on. */
  open(): void {
    this.#open = true;
    this.#schedule();
  }

  add(flow: Flow): void {
    if (this.#waiting.length + this.#stream.writableLength > MOST_BEHIND) {
      this.drop(1);
      return;
    }
    this.#tellDropped();
    this.#waiting += `${JSON.stringify(flow)}\n`;
    this.#schedule();
  }

  drop(count: number): void {
    this.#dropped += count;
    this.#schedule();
  }

  /** With what waits. */
  end(): void {
    this.#tellDropped();
    this.#stream.end(this.#waiting);
    this.#waiting = '';
    this.#open = false;
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return;
    const dropped: Dropped = { kind: 'dropped', time: new Date(this.#date()).toISOString(), count: this.#dropped };
    this.#waiting += `${JSON.stringify(dropped)}\n`;
    this.#dropped = 0;
  }

  #schedule(): void {
    if (this.#scheduled || !this.#open) return;
    this.#scheduled = true;
    setImmediate(() => this.#write());
  }

  #write(): void {
    this.#scheduled = false;
    if (!this.#open) return;
    if (this.#stream.writableLength === 0) this.#tellDropped();
    if (this.#waiting === '') return;
    const text = this.#waiting;
    this.#waiting = '';
    this.#stream.write(text, () => {
      // Of what was lost meanwhile a reader is told as soon as it has caught up, not with the next call.
      if (this.#dropped > 0) this.#schedule();
    });
  }
}
