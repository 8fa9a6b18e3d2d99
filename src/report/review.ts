/** Answers for where changes are reviewed: an annotation or a row for each thing that they find. */
import type { Finding } from '../lib/finding.ts';
import { type Describe, githubCommands, markdown, sarif } from './finding-formats.ts';

/** Forms of an answer that is reviewed: its own two, and those of findings. */
export const REVIEW_OUTPUTS = ['text', 'json', 'sarif', 'github', 'markdown'] as const;
export type ReviewOutput = (typeof REVIEW_OUTPUTS)[number];

/** What an answer finds, and what its codes mean. */
export interface Review {
  readonly findings: readonly Finding[];
  readonly describe: Describe;
}

/** The description of codes by this catalogue; a code that it lacks stands for itself. */
export function describeBy(summaries: Readonly<Record<string, string>>): Describe {
  return (code) => ({ name: code, summary: Object.hasOwn(summaries, code) ? summaries[code]! : code });
}

/** @param version of the product, for SARIF */
export function reviewText({ findings, describe }: Review, output: Exclude<ReviewOutput, 'text' | 'json'>, version: string): string {
  if (output === 'sarif') return sarif(findings, version, describe);
  return output === 'github' ? githubCommands(findings) : markdown(findings);
}
