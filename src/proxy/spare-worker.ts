/** A worker thread that loads its modules while the main thread still loads its own. Imports nothing of the data plane. */
import { Worker } from 'node:worker_threads';

/** Beside this module in the sources and in the build. */
export const WORKER_ENTRY = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);

let spare: Worker | undefined;

/**
 * Starts a thread that waits for its data, to be called first thing by commands that carry traffic. Until somebody takes it, it does not keep the
 * process alive.
 */
export function prestartWorker(): void {
  if (spare) return;
  spare = createWorker(WORKER_ENTRY);
  spare.unref();
  spare.once('error', forget);
  spare.once('exit', forget);
}

function forget(): void {
  spare = undefined;
}

/** The thread that was started beforehand, if it is there and nobody has it, or a new one. */
export function takeWorker(): Worker {
  const worker = spare;
  spare = undefined;
  if (!worker) return createWorker(WORKER_ENTRY);
  worker.off('error', forget);
  worker.off('exit', forget);
  worker.ref();
  return worker;
}

export function createWorker(entry: URL): Worker {
  return new Worker(entry, { name: 'sallyport-worker', stdout: false, stderr: false });
}
