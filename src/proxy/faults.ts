/** Keeps a thread that carries traffic alive: a fault in one connection's code must not take the others with it. */
import type { LogLevel } from './log.ts';

/** Logs what nobody caught, in this thread, instead of ending it. Returns what puts an end to that. */
export function surviveFaults(log: (level: LogLevel, message: string) => void): () => void {
  const onException = (error: Error): void => log('error', `unexpected error: ${error.stack ?? error.message}`);
  const onRejection = (reason: unknown): void =>
    log('error', `unexpected rejection: ${reason instanceof Error ? reason.stack : String(reason)}`);
  process.on('uncaughtException', onException);
  process.on('unhandledRejection', onRejection);
  return () => {
    process.off('uncaughtException', onException);
    process.off('unhandledRejection', onRejection);
  };
}
