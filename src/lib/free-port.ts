import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { codeOf } from './errors.ts';
import { listening } from './listen.ts';

/** Below the ports that Linux gives to outgoing connections: one of these would take the port before the program does. */
const [LOWEST, END] = [20_000, 32_768];
const MOST_TRIES = 100;

/** A port at which nobody listened a moment ago, for programs that cannot choose one themselves. Rejects as `listening`. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = randomInt(LOWEST, END);
    const server = createServer();
    try {
      await listening(server, { port, host: address }, { ip: address, port });
    } catch (error) {
      if (codeOf(error) === 'port-in-use' && tries < MOST_TRIES) continue;
      throw error;
    }
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
