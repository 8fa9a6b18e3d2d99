/** Serving until a signal or a failure ends it, and the signals in between. */
import { once } from 'node:events';
import { messageOf } from '../lib/errors.ts';
import { collectWhenIdle } from '../proxy/idle-memory.ts';

export interface Served {
  /** From now on the files are followed. */
  watch(): void;
  /** Reads the files again. */
  reload(): Promise<unknown>;
  reopenLogs(): Promise<void>;
  /** Ends it; running requests may finish for so many ms. */
  close(graceMs: number): Promise<void>;
}

export interface ServeOptions {
  readonly watch: boolean;
  /** For running requests, ms. */
  readonly grace: number;
  readonly say: (line: string) => void;
}

/**
 * Serves until SIGTERM or SIGINT, then drains; a second signal ends the process (exit code 3). SIGHUP reads the files again. Resolves with what ended it.
 * @param start gets what is to be called when it can serve no longer
 */
export async function serveUntilEnded(
  start: (ended: (error: unknown) => void) => Promise<Served>,
  { watch, grace, say }: ServeOptions,
): Promise<'signal' | 'failure'> {
  let served: Served | undefined;
  const ignoreLogs = reopenLogsOnSignal(() => served, say);
  let ended: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    ended = resolve;
  });
  // From here on, so that one which comes as soon as it is ready does not find the process without a hearer.
  const signalled = endSignal();
  void signalled.then(() => {
    if (!served) say('ending once it has started; a second signal ends it now');
  });
  served = await start(ended);
  const { reload, close } = served;
  collectWhenIdle();
  if (watch) served.watch();
  const readAgain = () => void reload().catch((error: unknown) => say(`reload: ${messageOf(error)}`));
  process.on('SIGHUP', readAgain);
  const end = await Promise.race([signalled, failed]);
  process.off('SIGHUP', readAgain);
  if (end === SIGNAL) {
    say('draining: running requests may finish; a second signal ends them');
    await Promise.race([close(grace), endSignal().then(() => process.exit(COULD_NOT_RUN))]);
  } else {
    say(messageOf(end));
    await close(0);
  }
  ignoreLogs();
  return end === SIGNAL ? 'signal' : 'failure';
}

/** As with Envoy: whoever rotates the access logs sends SIGUSR1 afterwards. Returns what ends it. */
export function reopenLogsOnSignal(served: () => Pick<Served, 'reopenLogs'> | undefined, say: ServeOptions['say']): () => void {
  const reopen = () =>
    void served()
      ?.reopenLogs()
      .catch((error: unknown) => say(messageOf(error)));
  process.on('SIGUSR1', reopen);
  return () => process.off('SIGUSR1', reopen);
}

/** As commands end that could not do what they were asked. */
const COULD_NOT_RUN = 3;
const SIGNAL = Symbol('a signal');

function endSignal(): Promise<typeof SIGNAL> {
  return Promise.race(['SIGTERM', 'SIGINT'].map((name) => once(process, name))).then(() => SIGNAL);
}
