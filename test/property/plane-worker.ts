/** A data plane in a thread of its own, in a pod of the loopback network: takes changes of its xDS, and tells each line of its access log. */
import { parentPort, workerData } from 'node:worker_threads';
import type { LogFiles as LogFilesType } from '../../src/proxy/access-log/files.ts';
import type { SentUpdate } from '../../src/xds/resources.ts';

export interface PlaneRequest {
  readonly id: number;
  /** Undefined: only say that everything before is done. */
  readonly update: SentUpdate | undefined;
}

const port = parentPort!;
process.env.LOOPBACK_POD = workerData as string;
// Before anything of the product is loaded.
await import('../calls/loopback/preload.ts');
const { LogFiles } = (await import('../../src/proxy/access-log/files.ts')) as { LogFiles: typeof LogFilesType };
LogFiles.prototype.open = () => ({ write: (line) => port.postMessage({ line }) });
const { createDataPlane } = await import('../../src/proxy/dataplane.ts');

const plane = await createDataPlane({
  log: (level, message) => {
    if (level === 'error' || level === 'warn') port.postMessage({ complaint: message });
  },
  environment: {},
});
port.on('message', async ({ id, update }: PlaneRequest) => {
  const ack = update && (await plane.apply(update));
  port.postMessage({ id, rejected: ack?.rejected.map(({ type, name, message }) => `${type} ${name}: ${message}`) ?? [] });
});
port.postMessage({ started: true });
