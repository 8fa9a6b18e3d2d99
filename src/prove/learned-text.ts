/** What `learn` says, on the command line and at the end of `up --learn`. */
import { stringify } from 'yaml';
import type { Observation } from '../learn/observed.ts';
import type { Proposed } from '../learn/propose.ts';
import type { Check } from './proposal.ts';
import { type BrokenCall, urlOf } from './replay.ts';

/** Every proposal begins with it; a file that begins so may be replaced by another proposal. */
export const PROPOSAL_MARK = '# Learned by Sallyport.';

/** The proposal as a file. */
export function proposalText(proposed: readonly Proposed[], remarks: readonly string[] = []): string {
  const head = [
    `${PROPOSAL_MARK} For outboundTrafficPolicy REGISTRY_ONLY: what is not here is refused.`,
    ...remarks.map((line) => `# ${line}`),
  ];
  return `${head.join('\n')}\n${proposed.map(yamlOf).join('---\n')}`;
}

function yamlOf({ comments, resource }: Proposed): string {
  return comments.map((line) => `# ${line}\n`).join('') + stringify(resource, { lineWidth: 140 });
}

/** Whether recorded calls break, and what became of each statement. */
export function checkLines({ calls, broken, verdicts }: Check): string[] {
  const again = `${counted(calls, 'recorded call')} made again: ${calls === 1 ? 'it does not break' : 'none breaks'}.`;
  return [
    broken.length > 0 ? 'These recorded calls break:' : again,
    ...broken.map(brokenLine),
    ...verdicts.map(({ statement, result, undecided }) => `${result}: ${statement}${result === 'undecided' ? ` (${undecided[0]})` : ''}`),
  ];
}

export function brokenLine({ call, why }: BrokenCall): string {
  return `${call.method ? `${call.method} ` : ''}${urlOf(call)}, ${counted(call.count, 'call')}: ${why}`;
}

/** What was recorded, and no resource can let through. */
export function unplacedLines({ unplaced }: Observation): string[] {
  return unplaced.map(({ host, port, why, count }) => `not proposed: ${host}:${port} (${counted(count, 'call')}): ${why}`);
}

/** `1 call`, `2 calls`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
