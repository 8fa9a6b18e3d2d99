/**
 * The unix socket at which a running Sallyport shows its flows to its own user: in the user's private folder, where `sallyport flows` finds it by its name,
 * and which contained commands do not see (`sandbox/hidden.ts`).
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { codeOf } from '../lib/errors.ts';
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import { openPrivateFolder, privateFolder } from '../lib/private-folder.ts';
import type { FlowHub } from './hub.ts';
import { FLOWS_PATH, streamFlows } from './stream.ts';

/** The commands that show their flows. */
export type Shower = 'up' | 'run' | 'proxy' | 'agent';

export interface Running {
  readonly command: Shower;
  readonly pid: number;
  readonly socketPath: string;
}

const NAME = /^(up|run|proxy|agent)-(\d+)-[0-9a-f]{8}\.sock$/;

/** How long a reader may take for what is left when the process ends, ms. */
const FAREWELL_MS = 500;

/** Shows the flows until what is returned is called, which ends the streams. Rejects with `folder-unusable` or `listen-failed`. */
export async function showFlows(hub: FlowHub, command: Shower, folder = openPrivateFolder()): Promise<() => Promise<void>> {
  // Other process namespaces may share the folder, and have the same numbers.
  const socketPath = join(folder, `${command}-${process.pid}-${randomBytes(4).toString('hex')}.sock`);
  const server = createLocalServer((request, response) => {
    if (request.url?.split('?')[0] === FLOWS_PATH) streamFlows(hub, request, response);
    else response.writeHead(404, { connection: 'close' }).end(`there is GET ${FLOWS_PATH}\n`);
  });
  await listening(server, { path: socketPath }, { ip: socketPath, port: 0 });
  // Whoever watches is no reason to go on.
  server.unref();
  return async () => {
    rmSync(socketPath, { force: true });
    hub.end();
    const late = setTimeout(() => server.closeAllConnections(), FAREWELL_MS);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    clearTimeout(late);
  };
}

/** Those that run, by process id. Sockets that nobody listens on any more are removed. */
export async function runningShowers(folder = privateFolder()): Promise<readonly Running[]> {
  const found = namesIn(folder).flatMap((name): Running[] => {
    const match = NAME.exec(name);
    return match ? [{ command: match[1] as Shower, pid: Number(match[2]), socketPath: join(folder, name) }] : [];
  });
  const alive = await Promise.all(found.map(({ socketPath }) => isListening(socketPath)));
  for (const [i, { socketPath }] of found.entries()) if (!alive[i]) rmSync(socketPath, { force: true });
  return found.filter((_, i) => alive[i]).sort((a, b) => a.pid - b.pid);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    // One that is too busy to answer is there all the same.
    socket.on('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'));
  });
}
