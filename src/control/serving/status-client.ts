/** Asks a running controller for its streams. */
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';
import type { StreamJson } from './status.ts';

/** @param at its status address @throws SallyportError `controller-unreachable` */
export async function askStreams({ address, port }: SocketAddress): Promise<readonly StreamJson[]> {
  const url = `http://${hostPort(address, port)}/status`;
  let status: { readonly streams?: readonly StreamJson[] };
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    status = (await answer.json()) as typeof status;
  } catch (error) {
    const reason = messageOf(error instanceof Error && error.cause ? error.cause : error);
    throw new SallyportError(
      'controller-unreachable',
      `no controller answers at ${url}: ${reason}. Give its status address with --controller.`,
      {
        cause: error,
      },
    );
  }
  if (!status.streams)
    throw new SallyportError('controller-unreachable', `what answers at ${url} serves no proxies: it is no sallyport controller.`);
  return status.streams;
}
