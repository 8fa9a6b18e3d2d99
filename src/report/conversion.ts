/** What `convert` says of its output. */
import { resourceText } from '../api/resource.ts';
import type { Unexpressed } from '../convert/index.ts';
import { formatPosition } from '../lib/finding.ts';
import { describeCall } from '../prove/describe-call.ts';
import type { Comparison } from '../prove/diff.ts';

/** What stays as it is, and why. */
export function unexpressedLine({ resource, path, reason }: Unexpressed): string {
  return `${formatPosition(resource.source.position(path))}: ${resourceText(resource)} stays: ${path.length > 1 ? `${path.slice(1).join('.')}: ` : ''}${reason}`;
}

/** Whether what was converted does the same, as lines of the program's. */
export function conversionText({ changes, undecided, cells }: Comparison, converted: number): string {
  if (changes.length > 0) {
    const lines = changes.map(
      ({ workloads, destination, before, after, example }) =>
        `sallyport: ${workloads.join(', ')}: a call to ${destination} ${after}; before, it ${before}. For example: ${describeCall(example)}\n`,
    );
    return `${lines.join('')}sallyport: refuted: the converted configuration does not do the same\n`;
  }
  if (undecided.length > 0)
    return `${undecided.map((sentence) => `sallyport: undecided: ${sentence}\n`).join('')}sallyport: not proved, although none of ${cells} calls changes its outcome\n`;
  return `sallyport: proved: no call changes its outcome (${converted} objects converted, ${cells} calls compared)\n`;
}
