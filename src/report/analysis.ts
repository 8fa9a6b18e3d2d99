/** What `analyze` answers, in each of its forms. */
import { MESSAGES } from '../analysis/messages.ts';
import { DECODING_CODES } from '../api/codes.ts';
import type { Finding, Level } from '../lib/finding.ts';
import { type Describe, githubCommands, sarif } from './finding-formats.ts';
import { type FindingsForm, findingsText, type Output } from './findings.ts';

export const ANALYSIS_OUTPUTS = ['text', 'json', 'yaml', 'sarif', 'github'] as const;
export type AnalysisOutput = (typeof ANALYSIS_OUTPUTS)[number];

/** So many findings of one code are shown in full. */
const MOST_OF_A_CODE = 10;

export interface AnalysisForm extends Pick<FindingsForm, 'paint' | 'readLine'> {
  readonly output: AnalysisOutput;
  /** Text: every finding in full, also where many say the same. */
  readonly all: boolean;
  /** Of the product, for SARIF. */
  readonly version: string;
}

/** @param objects how many were read */
export async function analysisText(findings: readonly Finding[], objects: number, form: AnalysisForm): Promise<string> {
  const { output, all, version, paint, readLine } = form;
  if (output === 'sarif') return sarif(findings, version, describeFinding);
  if (output === 'github') return githubCommands(findings);
  const brief = all ? {} : { brief: { most: MOST_OF_A_CODE, all: '--all shows them' } };
  const text = await findingsText(findings, { output: output satisfies Output, paint, readLine, ...brief });
  if (output !== 'text') return text;
  const read = `${objects} ${objects === 1 ? 'object' : 'objects'} read`;
  if (findings.length === 0) return `No findings: ${read}.\n`;
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  return `${text}\n${count('Error')} errors, ${count('Warning')} warnings, ${count('Info')} notes: ${read}\n`;
}

/** What the code of a finding means: of decoding, or of analysis. */
export const describeFinding: Describe = (code) => {
  const all: Readonly<Record<string, ReturnType<Describe>>> = { ...DECODING_CODES, ...MESSAGES };
  return Object.hasOwn(all, code) ? all[code] : undefined;
};
