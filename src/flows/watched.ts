/** Whose calls are watched. */
import { SallyportError } from '../lib/errors.ts';
import { bracketed, type SocketAddress } from '../lib/socket-address.ts';
import type { Shown } from './client.ts';
import type { Running } from './socket.ts';

/** The calls of a proxy, at its admin server. */
export function shownAt({ address, port }: SocketAddress): Shown {
  const host = bracketed(address);
  return {
    name: `the proxy at ${host}:${port}`,
    where: { host: address, port },
    missing: 'is it running there?',
  };
}

/**
 * The one that is meant of those that run.
 * @param pid its process id, where several run
 * @throws SallyportError `nothing-runs`, `usage`
 */
export function shownBy(running: readonly Running[], pid: number | undefined): Shown {
  const fitting = pid === undefined ? running : running.filter((one) => one.pid === pid);
  const list = running.map((one) => `${one.pid} (${one.command})`).join(', ');
  if (fitting.length > 1) throw new SallyportError('usage', `several of this user run: name one with --run PID: ${list}`);
  const [only] = fitting;
  if (only)
    return {
      name: `sallyport ${only.command}, process ${only.pid}`,
      where: { socketPath: only.socketPath },
      missing: 'it may just have ended',
    };
  if (pid !== undefined && running.length > 0)
    throw new SallyportError('nothing-runs', `process ${pid} shows no calls; there are ${list}.`);
  throw new SallyportError(
    'nothing-runs',
    'nothing of this user runs whose calls can be watched: start sallyport up, run, proxy or agent first; for a proxy of somebody else or elsewhere give its admin address with --admin.',
  );
}
