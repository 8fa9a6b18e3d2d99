/** What a running `up` says of grants. */
import { resolve } from 'node:path';
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';

interface Told {
  readonly level: string;
  readonly origin: string;
  readonly message: string;
}

/** What is in force at a running `up`. */
interface Status {
  readonly findings?: readonly Told[];
  /** The file of grants that it follows. */
  readonly grants?: string;
}

/** For a reload, which reads all files and waits for the proxies. */
const PATIENCE_MS = 30_000;

/** What has become of a grant. */
export type Taken =
  /** `other`: it follows no grants, or those of another file. */
  { readonly kind: 'in-force' | 'nobody-there' | 'other' } | { readonly kind: 'not-in-force'; readonly why: string };

/** Has whoever answers at this status address read its files, grants among them, and says what it makes of each. */
export async function tellOfGrants(at: SocketAddress, file: string): Promise<(id: string) => Taken> {
  return takenBy(await ask(at, 'POST', '/reload'), file);
}

/** What whoever answers there makes of each grant of the file, as it is. */
export async function grantsTaken(at: SocketAddress, file: string): Promise<(id: string) => Taken> {
  return takenBy(await ask(at, 'GET', '/status'), file);
}

function takenBy(status: Status | undefined, file: string): (id: string) => Taken {
  return (id) => {
    if (status === undefined) return { kind: 'nobody-there' };
    const problem = status.findings?.find(({ level, origin }) => level === 'Error' && origin.endsWith(`/${id}`));
    if (problem) return { kind: 'not-in-force', why: problem.message };
    return { kind: status.grants === resolve(file) ? 'in-force' : 'other' };
  };
}

/** Undefined where nobody answers in time. */
async function ask({ address, port }: SocketAddress, method: string, path: string): Promise<Status | undefined> {
  try {
    const answer = await fetch(`http://${hostPort(address, port)}${path}`, { method, signal: AbortSignal.timeout(PATIENCE_MS) });
    return (await answer.json()) as Status;
  } catch {
    return undefined;
  }
}
