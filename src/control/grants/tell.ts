/** Tells a running `up` of a grant. */
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';

interface Told {
  readonly level: string;
  readonly origin: string;
  readonly message: string;
}

/** For a reload, which reads all files and waits for the proxies. */
const PATIENCE_MS = 30_000;

/** What has become of a grant. */
export type Taken = { readonly kind: 'in-force' | 'nobody-there' } | { readonly kind: 'not-in-force'; readonly why: string };

/** Has whoever answers at this status address read its files, grants among them. */
export async function tellOfGrant(at: SocketAddress, id: string): Promise<Taken> {
  const findings = await reload(at);
  if (findings === undefined) return { kind: 'nobody-there' };
  const problem = findings.find(({ level, origin }) => level === 'Error' && origin.endsWith(`/${id}`));
  return problem ? { kind: 'not-in-force', why: problem.message } : { kind: 'in-force' };
}

/** What was found; undefined where nobody answers in time. */
async function reload({ address, port }: SocketAddress): Promise<readonly Told[] | undefined> {
  try {
    const answer = await fetch(`http://${hostPort(address, port)}/reload`, { method: 'POST', signal: AbortSignal.timeout(PATIENCE_MS) });
    return ((await answer.json()) as { findings?: readonly Told[] }).findings ?? [];
  } catch {
    return undefined;
  }
}
