/** What a contained command called, at its end: for a person, as JSON, and as Markdown for a CI job's summary. Pure. */
import { allowOption } from '../../lib/allow-option.ts';
import { NOT_ALLOWED } from '../../lib/contained.ts';
import { printableLine } from '../../lib/printable.ts';
import { type Called, where } from './calls.ts';

/** What was called. */
export interface CallsMade {
  readonly called: readonly Called[];
  /** Calls to hosts that were too many to keep apart, or of which nothing else is known. */
  readonly others: number;
}

/** By a command. */
export interface Account extends CallsMade {
  /** Of `up`: by everything that called while it ran. */
  readonly of?: 'up';
  readonly words: readonly string[];
  readonly code: number;
}

export type ReportFormat = 'json' | 'markdown';

/** What stands at the top first: what was refused. */
const ORDER: readonly Called['verdict'][] = ['refused', 'unresolved', 'undeclared', 'failed', 'allowed'];
/** Of a summary. */
const MOST_LINES = 30;
const WORDS: Readonly<Record<Called['verdict'], string>> = {
  refused: 'refused',
  unresolved: 'not looked up',
  undeclared: 'would be refused',
  failed: 'allowed, not reached',
  allowed: 'allowed',
};

function sorted(called: readonly Called[]): Called[] {
  return [...called].sort(
    (a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) || where(a.host, a.port).localeCompare(where(b.host, b.port)),
  );
}

/** A line each, and none where nothing was called. */
export function summaryLines({ called, others }: CallsMade): string[] {
  if (called.length === 0 && others === 0) return [];
  const rows = sorted(called).map((one) => [where(one.host, one.port), WORDS[one.verdict], `${one.count}×`, remark(one)]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map(
    (row) =>
      `  ${row
        .map((cell, i) => printableLine(cell).padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}`,
  );
  const more = lines.length - MOST_LINES;
  return [
    'what was called:',
    ...lines.slice(0, MOST_LINES),
    ...(more > 0 ? [`  … and ${more} more; --report FILE has them all`] : []),
    ...(others > 0 ? [`  … and ${others} calls to other hosts`] : []),
  ];
}

function remark(one: Called): string {
  const { verdict, reason, bytesSent, bytesReceived } = one;
  if (verdict === 'allowed' || (verdict === 'undeclared' && reason === '')) return `${bytesSent} B sent, ${bytesReceived} B received`;
  return isAllowable(one) ? '' : reason;
}

function isNotAllowed({ verdict }: Called): boolean {
  return verdict !== 'allowed' && verdict !== 'failed';
}

/** Whether `--allow` would have let it through. */
function isAllowable({ verdict, reason }: Called): boolean {
  if (verdict === 'unresolved') return true;
  return verdict === 'refused' ? reason === NOT_ALLOWED : verdict === 'undeclared' && reason === '';
}

/** What was refused, as a clause; undefined where nothing was, and nothing can have been. */
export function refusals({ called, others }: CallsMade): string | undefined {
  const refused = called.filter(isNotAllowed);
  if (refused.length > 0) {
    const [first] = sorted(refused);
    const more = refused.length > 1 ? ` and ${refused.length - 1} more` : '';
    return `calls to ${printableLine(where(first!.host, first!.port))}${more} were refused, or would be`;
  }
  return others > 0 ? `of ${others} calls to hosts that were too many to keep apart nobody knows` : undefined;
}

export function reportText(account: Account, format: ReportFormat): string {
  return format === 'json' ? json(account) : markdown(account);
}

function json({ words, code, called, others }: Account): string {
  const calls = sorted(called).map((one) => ({
    ...one,
    ...(isAllowable(one) && { toAllow: allowOption(one) }),
  }));
  return `${JSON.stringify({ command: words, exitCode: code, calls, otherCalls: others }, undefined, 2)}\n`;
}

function markdown({ of, words, code, called, others }: Account): string {
  const rows = sorted(called).map(
    ({ host, port, verdict, reason, by, count, bytesSent, bytesReceived, first, last }) =>
      `| ${[where(host, port), WORDS[verdict], by ? `${by.command} (${by.pid})` : '', count, bytesSent, bytesReceived, first, last, reason].map(cell).join(' | ')} |`,
  );
  const refused = sorted(called).filter(isAllowable);
  const options = [...new Set(refused.map(allowOption))];
  return [
    of === 'up' ? '### sallyport up' : `### sallyport run: ${code === 0 ? 'the command succeeded' : `exit code ${code}`}`,
    '',
    `\`${words.join(' ').replaceAll('`', "'").replaceAll('\n', ' ')}\``,
    '',
    ...(rows.length === 0
      ? ['Nothing was called.']
      : [
          '| host | verdict | first by | calls | B sent | B received | first | last | reason |',
          '|---|---|---|---|---|---|---|---|---|',
          ...rows,
        ]),
    ...(others > 0 ? ['', `And ${others} calls to other hosts.`] : []),
    ...(options.length > 0 ? ['', 'To allow what was refused:', '', ...options.map((option) => `    ${option}`)] : []),
    '',
  ].join('\n');
}

/** Host names are what the command made them. */
function cell(value: string | number): string {
  return printableLine(String(value)).replaceAll(/[|\\`<>[\]]/g, (c) => `\\${c}`);
}
