import { randomInt } from 'node:crypto';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { codeOf } from './errors.ts';
import { listening } from './listen.ts';

/** Below the ports that Linux gives to outgoing connections, one of which would take the port before the program does, and below those of a node of Kubernetes. */
const [LOWEST, END] = [20_000, 30_000];
const MOST_TRIES = 100;

/**
 * A port at which nobody listened a moment ago, for programs that cannot choose one themselves. As long as this process lives it is given to
 * nobody else who asks here, in another process of the same network namespace neither. Rejects as `listening`.
 */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = randomInt(LOWEST, END);
    try {
      await reserve(port);
      await closed(await listener({ port, host: address }, address, port));
      return port;
    } catch (error) {
      if (codeOf(error) !== 'port-in-use' || tries >= MOST_TRIES) throw error;
    }
  }
}

/** Others see that the port is given by a socket without a file, which goes with the process. Only Linux has them. */
async function reserve(port: number): Promise<void> {
  if (process.platform !== 'linux') return;
  const name = `sallyport-port-${port}`;
  const server = await listener({ path: `\0${name}` }, `@${name}`, 0);
  server.unref();
}

async function listener(where: ListenOptions, ip: string, port: number): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await listening(server, where, { ip, port });
  return server;
}

function closed(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}
