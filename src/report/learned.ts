/** What `learn` answers, and what it says of the logs. */
import type { LearnAnswer } from '../inputs/learned.ts';
import type { LogProblem, LogReading } from '../inputs/logs.ts';
import type { Observation } from '../learn/observed.ts';
import { brokenLine, checkLines, proposalText, unplacedLines } from '../prove/learned-text.ts';

/** Whether all recorded calls are let through, and that is proved. */
export function isLearned(answer: LearnAnswer): boolean {
  return answer.kind === 'denied' ? answer.broken.length === 0 : answer.proposal.broken.length === 0 && answer.proposal.proved;
}

export function learnedJson(answer: LearnAnswer): object {
  if (answer.kind === 'denied') return { denied: answer.broken };
  const { proposed, broken, verdicts } = answer.proposal;
  return {
    resources: proposed.map(({ resource }) => resource),
    broken,
    verdicts: verdicts.map(({ statement, result }) => ({ statement, result })),
  };
}

export function learnedText(answer: LearnAnswer): string {
  if (answer.kind === 'denied') return answer.broken.map((one) => `${brokenLine(one)}\n`).join('');
  return proposalText(answer.proposal.proposed, answer.proposal.remarks);
}

/** What is said beside the answer. */
export function answerLines(answer: LearnAnswer, observation: Observation): string[] {
  if (answer.kind === 'proposal') return [...unplacedLines(observation), ...answer.proposal.remarks, ...checkLines(answer.proposal)];
  const count = answer.broken.reduce((sum, { call }) => sum + call.count, 0);
  const { folded } = observation;
  const apart = `Of ${folded} calls paths and clients were not kept apart, as there were too many: each kind was tried once.`;
  return [count === 0 ? 'No recorded call would be refused.' : `${count} recorded calls would be refused.`, ...(folded > 0 ? [apart] : [])];
}

/** What is said of the logs. */
export function readingLines({ damaged, foreign, unread }: LogReading, { records, observed, inside, refused }: Observation): string[] {
  return [
    ...unread,
    ...damaged.first.map((problem) => `${problemText(problem)}: a call may be missing`),
    ...(damaged.count > damaged.first.length ? [`… and ${damaged.count - damaged.first.length} more lines that cannot be read`] : []),
    ...foreign.first.slice(0, 1).map(problemText),
    ...(foreign.count > 1 ? [`… and ${foreign.count - 1} more lines that are no record`] : []),
    `${records} records: ${observed.length} destinations outside the mesh, ${inside} records of calls inside it, ${refused} of refused ones.`,
  ];
}

function problemText({ file, line, why, text }: LogProblem): string {
  return `${file}:${line}: ${why}${text === '' ? '' : `: ${JSON.stringify(text)}`}`;
}
