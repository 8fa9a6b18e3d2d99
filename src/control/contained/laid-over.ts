/** What `run` is told to allow, as resources that are laid over those of its files. */
import { DECODING_CODES, isBroken } from '../../api/codes.ts';
import { Layered } from '../../config/layered.ts';
import { snapshotFromText } from '../../config/memory.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type Finding, formatPosition } from '../../lib/finding.ts';
import { type Allowed, allowedResources } from '../../policy/allow.ts';
import type { LocalMeshOptions } from '../local/options.ts';

/** The options with what is allowed beside the files. Throws `policy-unreadable`. */
export function allowing(mesh: LocalMeshOptions, allowed: readonly Allowed[]): LocalMeshOptions {
  const policy = policyOf(allowed, mesh.allowAll === true || mesh.learn !== undefined ? 'audit' : 'enforce');
  refuseUnread(policy.findings);
  return { ...mesh, beside: mesh.beside ? new Layered(policy, mesh.beside) : policy };
}

function policyOf(allowed: readonly Allowed[], bind: 'audit' | 'enforce'): Snapshot {
  const documents = allowedResources(allowed, bind).map((document) => JSON.stringify(document));
  return snapshotFromText(documents.join('\n---\n'), { file: '--allow' });
}

/** Of a policy that is read in part nobody knows what the rest would have said. */
export function refuseUnread(findings: readonly Finding[]): void {
  const unread = findings.filter(
    (finding) => isBroken(finding) && (Object.hasOwn(DECODING_CODES, finding.code) || finding.code === INVALID),
  );
  const [first] = unread;
  if (!first) return;
  const where = first.position ? `${formatPosition(first.position)}: ` : '';
  const more = unread.length > 1 ? ` (and ${unread.length - 1} more)` : '';
  throw new SallyportError('policy-unreadable', `the policy does not read completely, so nothing is run: ${where}${first.message}${more}`);
}

/** SchemaValidationError */
const INVALID = 'IST0106';
