/** A contained command and the mesh that decides on its calls, for as long as the command runs. */
import { DECODING_CODES } from '../../api/codes.ts';
import { snapshotFromText } from '../../config/memory.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type Finding, formatPosition } from '../../lib/finding.ts';
import { IN_FORCE } from '../../prove/unknown.ts';
import { checkProgram, proxyEnvironment } from '../../sandbox/command.ts';
import { INSIDE_LOOPBACK, INSIDE_PORTS, openSandbox } from '../../sandbox/index.ts';
import type { LocalMeshOptions } from '../local/options.ts';
import type { LocalMesh, LocalMeshHost } from '../local/start.ts';
import { type Allowed, serviceEntries } from './allow.ts';
import { callerOf } from './caller.ts';
import { Calls } from './calls.ts';
import type { Account } from './report.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ContainedOptions {
  /** The command and its arguments. */
  readonly words: readonly string[];
  /** Files with resources. */
  readonly paths: readonly string[];
  /** What else may be called. */
  readonly allowed: readonly Allowed[];
  /** Addresses are those inside; what is said of others is left aside. */
  readonly mesh: LocalMeshOptions;
  readonly host: LocalMeshHost;
  readonly environment: Environment;
  readonly strict: boolean;
  readonly say: (line: string) => void;
}

export interface Ran extends Account {
  readonly conclude: LocalMesh['conclude'];
}

const NOWHERE = { address: INSIDE_LOOPBACK, port: 0 };
const PROXY = { address: INSIDE_LOOPBACK, port: INSIDE_PORTS.proxy };

/** Rejects with `sandbox-unavailable`, `policy-unreadable`, `command-failed`, and what starting a mesh rejects with. */
export async function runContained(options: ContainedOptions): Promise<Ran> {
  const { words, paths, mesh, environment, strict, host, say } = options;
  checkProgram(words[0]!, environment);
  const opening = openSandbox({ environment, strict });
  // Loaded while the helper starts.
  const loading = import('../local/start.ts');
  const sandbox = await opening;
  const { startLocalMesh } = await loading;
  const policy = policyOf(options.allowed);
  const calls = new Calls({ say, callerOf, date: () => new Date().toISOString() });
  let local: LocalMesh | undefined;
  try {
    for (const path of sandbox.open) say(`${path} is reachable: whoever answers there may call what is refused here; --strict hides it`);
    local = await startLocalMesh(
      paths,
      insideOptions(mesh, policy, { sockets: sandbox.sockets, observe: (call) => calls.add(call) }),
      host,
    );
    refuseUnread(local.control.report.findings);
    const code = await sandbox.run(words, { ...environment, ...proxyEnvironment(PROXY) });
    await local.control.close(mesh.graceMs);
    return { words, code, called: calls.all, others: calls.others, conclude: local.conclude };
  } catch (error) {
    sandbox.close();
    await local?.control.close(0);
    throw error;
  }
}

function policyOf(allowed: readonly Allowed[]): Snapshot {
  const documents = serviceEntries(allowed).map((document) => JSON.stringify(document));
  return snapshotFromText(documents.join('\n---\n'), { file: '--allow' });
}

function insideOptions(mesh: LocalMeshOptions, policy: Snapshot, contained: LocalMeshOptions['contained']): LocalMeshOptions {
  return {
    ...mesh,
    contained,
    beside: policy,
    proxyAddress: PROXY,
    capturePort: INSIDE_PORTS.capture,
    dnsAddress: { address: INSIDE_LOOPBACK, port: INSIDE_PORTS.dns },
    adminAddress: NOWHERE,
    statusAddress: NOWHERE,
  };
}

/** Of a policy that is read in part nobody knows what the rest would have said. */
function refuseUnread(findings: readonly Finding[]): void {
  const unread = findings.filter(
    ({ level, code }) => level === 'Error' && (code in DECODING_CODES || code === INVALID) && !IN_FORCE.has(code),
  );
  const [first] = unread;
  if (!first) return;
  const where = first.position ? `${formatPosition(first.position)}: ` : '';
  const more = unread.length > 1 ? ` (and ${unread.length - 1} more)` : '';
  throw new SallyportError('policy-unreadable', `the policy does not read completely, so nothing is run: ${where}${first.message}${more}`);
}

/** SchemaValidationError */
const INVALID = 'IST0106';
