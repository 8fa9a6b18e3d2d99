/** The worker threads that carry traffic, seen from the main thread: started, fed with xDS, asked, restarted, ended. */
import type { Worker } from 'node:worker_threads';
import type { FlowDelivery, ProxyFlow } from '../flows/flow.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { ChangedResource, SentUpdate, XdsAck, XdsUpdate } from '../xds/resources.ts';
import type { Carrier, CarrierOptions } from './carrier.ts';
import type { Log } from './log.ts';
import { shareUpdate } from './shared-bytes.ts';
import { tokenMemory } from './shared-tokens.ts';
import { createWorker, takeWorker } from './spare-worker.ts';
import { mergeSnapshots } from './stats/registry.ts';
import { TicketSecret } from './tls/sessions.ts';
import type { FromWorker, ToWorker, WorkerData, WorkerReplies, WorkerRequest } from './worker-protocol.ts';

export interface WorkersOptions extends CarrierOptions {
  /** How many threads; at least 1. */
  readonly concurrency: number;
  /** Another module for the threads; for tests of what happens when they die. */
  readonly entry?: URL;
}

/**
 * The first worker goes first: it finds out whether ports can be had. The others are started after the first change and catch up by themselves.
 */
export interface Workers extends Carrier {
  /** Resolves when, after the first change, all workers are there. */
  complete(): Promise<void>;
}

/** A worker that dies right after it started is started again after this time, in ms. */
const RESTART_DELAY_MS = 1000;

interface FlowWatch {
  readonly deliver: FlowDelivery;
  readonly dropped: (count: number) => void;
  readonly sparing: boolean;
}

/** One thread. Requests that it has not answered when it dies are rejected. */
class WorkerThread {
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #pending = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #ids = 0;
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
  #failure = '';
  readonly #index: number;
  #watch: FlowWatch | undefined;

  constructor(data: WorkerData, log: Log, entry: URL | undefined) {
    this.#log = log;
    this.#index = data.index;
    this.#worker = entry ? createWorker(entry) : takeWorker();
    this.#worker.postMessage({ kind: 'start', data } satisfies ToWorker, data.audit ? [data.audit.port] : []);
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromWorker) => {
        if (message.kind === 'log') this.#log(message.level, message.message);
        else if (message.kind === 'reply') this.#settle(message);
        else if (message.kind === 'flows') this.#takeFlows(message);
        else if (message.problem) reject(new SallyportError(message.problem.code, message.problem.message));
        else resolve();
      });
      this.#worker.on('error', (error) => {
        this.#failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
        reject(new SallyportError('worker-failed', `a worker thread failed: ${this.#failure}`, { cause: error }));
      });
    });
    // Whoever does not wait for it learns of it by `ended`.
    this.ready.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        const reason = this.#failure || `exit code ${code}`;
        for (const { reject } of this.#pending.values()) reject(new SallyportError('worker-failed', `a worker thread ended: ${reason}`));
        this.#pending.clear();
        resolve(reason);
      });
    });
  }

  #settle(message: Extract<FromWorker, { kind: 'reply' }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error === undefined) pending?.resolve(message.value as never);
    else pending?.reject(new SallyportError('worker-failed', message.error));
  }

  ask<K extends WorkerRequest['kind']>(request: Extract<WorkerRequest, { kind: K }>): Promise<WorkerReplies[K]> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject });
      this.#worker.postMessage({ kind: 'request', id, request } satisfies ToWorker);
    });
  }

  /** From now on its flows go there, or nowhere. */
  async watchFlows(watch: FlowWatch | undefined): Promise<void> {
    this.#watch = watch;
    await this.ask({ kind: 'watch-flows', on: watch !== undefined, sparing: watch?.sparing ?? false });
  }

  async recentFlows(): Promise<readonly ProxyFlow[]> {
    return (await this.ask({ kind: 'recent-flows' })).map((flow) => this.#ofThread(flow));
  }

  /** The ids of several threads' flows are different ones. */
  #ofThread(flow: ProxyFlow): ProxyFlow {
    return { ...flow, id: `${this.#index}-${flow.id}` };
  }

  #takeFlows({ flows, dropped }: Extract<FromWorker, { kind: 'flows' }>): void {
    if (this.#watch && dropped > 0) this.#watch.dropped(dropped);
    for (const flow of flows) this.#watch?.deliver(this.#ofThread(flow));
    this.#worker.postMessage({ kind: 'flows-taken', count: flows.length } satisfies ToWorker);
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Starts the threads; they load while the caller goes on. Rejects if a data plane cannot be made. */
export function startWorkers(options: WorkersOptions): Workers {
  const { log } = options;
  const count = Math.max(1, options.concurrency);
  /** Everything that is in force, for threads that come later: in the memory in which the others have it, unless they got it as a patch. */
  const current = new Map<string, ChangedResource>();
  /** Listeners that were refused: a thread that comes later refuses them as well, and closes what comes to them. */
  const refusedListeners = new Map<string, ChangedResource>();
  let version = '';
  const tokens = tokenMemory();
  let closing = false;
  let watch: FlowWatch | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  /** Threads that take part in updates, by index. */
  const serving = new Map<number, WorkerThread>();
  const all = new Set<WorkerThread>();
  const tickets = new TicketSecret();
  let others = false;
  // Only the first: the others would compete with it for the processor while it loads, and nobody waits for them.
  let founding = found();

  function start(index: number): WorkerThread {
    const thread = new WorkerThread(
      {
        index,
        sharesPorts: count > 1,
        environment: options.environment,
        node: options.node,
        nameServers: options.nameServers,
        workload: options.workload,
        audit: options.audit?.(),
        tokens,
        tickets: tickets.seed,
        dns: index === 0 ? options.dns : undefined,
      },
      log,
      options.entry,
    );
    all.add(thread);
    // Before it gets what it listens on; of its end whoever waits for it learns otherwise.
    if (watch) thread.watchFlows(watch).catch(() => undefined);
    const born = performance.now();
    void thread.ended.then((reason) => {
      all.delete(thread);
      serving.delete(index);
      if (closing) return;
      log('error', `worker ${index} ended (${reason}); it is started again`);
      const delay = performance.now() - born < RESTART_DELAY_MS ? RESTART_DELAY_MS : 0;
      setTimeout(() => {
        const joined = join(index);
        if (serving.size === 0) founding = joined;
      }, delay);
    });
    return thread;
  }

  /** The first thread of all; it has no configuration to catch up with. */
  async function found(): Promise<void> {
    const thread = start(0);
    await thread.ready;
    serving.set(0, thread);
  }

  /** Starts a thread beside others, or in the place of one that died, and lets it in once it has what the others have. */
  async function join(index: number): Promise<void> {
    if (closing) return;
    try {
      const thread = start(index);
      await thread.ready;
      const catchUp = queue.then(async () => {
        const update = shareUpdate({ version, changed: [...current.values(), ...refusedListeners.values()], removed: [] }, 'whole');
        const ack = await thread.ask({ kind: 'apply', update, probe: serving.size === 0 });
        for (const { type, name, message } of ack.rejected)
          if (!refusedListeners.has(`${type}/${name}`)) log('error', `worker ${index}: ${type} ${name} refused: ${message}`);
        serving.set(index, thread);
      });
      queue = catchUp.catch(() => undefined);
      await catchUp;
    } catch (error) {
      // A thread that ended is started again by what watches its end.
      log('error', `worker ${index} does not take part: ${messageOf(error)}`);
    }
  }

  /** What a worker that starts later must get: of a refused resource, the last good version, and of a listener both. */
  function remember(given: XdsUpdate, sent: SentUpdate, refused: ReadonlyMap<string, XdsAck['rejected'][number]>): void {
    const keep = (resource: ChangedResource): void => {
      const key = `${resource.type}/${resource.name}`;
      if (!refused.has(key)) current.set(key, resource);
      if (resource.type !== 'listener') return;
      refusedListeners.delete(key);
      // For a port that others have nothing is handed over, and a thread that tried again might share it with them.
      if (refused.has(key) && refused.get(key)?.code !== 'port-in-use') refusedListeners.set(key, resource);
    };
    for (const resource of sent.changed) if (resource.bytes) keep(resource);
    for (const resource of given.changed) if (resource.patch) keep(resource);
    for (const { type, name } of given.removed) {
      current.delete(`${type}/${name}`);
      refusedListeners.delete(`${type}/${name}`);
    }
    version = given.version;
  }

  async function run(given: XdsUpdate): Promise<XdsAck> {
    const update = shareUpdate(given);
    await founding;
    const [first, ...rest] = [...serving.values()];
    if (!first) throw new SallyportError('worker-failed', 'no worker thread is running; it is being started again');
    const acks = [await first.ask({ kind: 'apply', update, probe: true })];
    acks.push(...(await Promise.all(rest.map((thread) => thread.ask({ kind: 'apply', update, probe: false })))));
    const rejected = new Map<string, XdsAck['rejected'][number]>();
    for (const entry of acks.flatMap((ack) => ack.rejected)) {
      const key = `${entry.type}/${entry.name}`;
      if (!rejected.has(key)) rejected.set(key, entry);
    }
    remember(given, update, rejected);
    if (!others) {
      others = true;
      complete = Promise.all(Array.from({ length: count - 1 }, (_, i) => join(i + 1)));
    }
    return { version: update.version, rejected: [...rejected.values()] };
  }

  let complete: Promise<unknown> = Promise.resolve();
  founding.catch(() => undefined);

  return {
    apply(update) {
      const result = queue.then(() => run(update));
      queue = result.catch(() => undefined);
      return result;
    },
    async complete() {
      await complete;
    },
    stats: async () => mergeSnapshots(await Promise.all([...serving.values()].map((thread) => thread.ask({ kind: 'stats' })))),
    status: () => Promise.all([...serving.values()].map((thread) => thread.ask({ kind: 'status' }))),
    async reopenLogs() {
      await Promise.all([...serving.values()].map((thread) => thread.ask({ kind: 'reopen-logs' })));
    },
    async watchFlows(deliver, dropped, sparing = false) {
      watch = deliver && { deliver, dropped, sparing };
      await Promise.all([...all].map((thread) => thread.watchFlows(watch)));
    },
    recentFlows: async () => (await Promise.all([...serving.values()].map((thread) => thread.recentFlows()))).flat(),
    async drain(graceMs) {
      await Promise.all([...serving.values()].map((thread) => thread.ask({ kind: 'drain', graceMs })));
    },
    async close() {
      closing = true;
      // A thread that is still loading, or hangs, is ended all the same.
      await Promise.all(
        [...all].map(async (thread) => {
          const done = thread.ready.then(() => thread.ask({ kind: 'close' })).catch(() => undefined);
          await Promise.race([done, thread.ended, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
          await thread.terminate();
        }),
      );
    },
  };
}
