/** The list of grants, with what has become of each. */
import { printable } from '../../lib/printable.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Grant } from './grants-file.ts';
import { grantsTaken, type Taken } from './tell.ts';

export interface Listed extends Grant {
  /** `granted`: it has not ended, and nobody says whether it is in force. */
  readonly state: 'ended' | 'in force' | 'not in force' | 'granted';
  /** Of one that is not in force. */
  readonly why?: string;
}

/** `unknown`: why it is not known of some whether they are in force. @param now ms since the epoch */
export async function listed(
  grants: readonly Grant[],
  file: string,
  at: SocketAddress,
  now: number,
): Promise<{ readonly rows: readonly Listed[]; readonly unknown: Taken | undefined }> {
  const holds = ({ until }: Grant) => Date.parse(until) > now;
  const become = grants.some(holds) ? await grantsTaken(at, file) : undefined;
  const rows = grants.map((grant) => ({ ...grant, ...stateOf(holds(grant) ? become?.(grant.id) : undefined) }));
  const unsure = rows.find(({ state }) => state === 'granted');
  return { rows, unknown: unsure && become?.(unsure.id) };
}

export function rowText({ id, hosts, namespace, by, until, reason, state, why }: Listed): string {
  const problem = why === undefined ? '' : `; it is not in force: ${printable(why)}`;
  return `${id}  ${state}  ${hosts.join(',')}  ${namespace}  until ${until}  by ${printable(by)}: ${printable(reason)}${problem}`;
}

/** @param taken undefined for one that has ended */
function stateOf(taken: Taken | undefined): Pick<Listed, 'state' | 'why'> {
  if (taken === undefined) return { state: 'ended' };
  if (taken.kind === 'not-in-force') return { state: 'not in force', why: taken.why };
  return { state: taken.kind === 'in-force' ? 'in force' : 'granted' };
}
