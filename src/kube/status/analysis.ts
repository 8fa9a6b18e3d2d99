/**
 * What is found about Istio's objects, in their statuses: `validationMessages` as Istio's own analysis in a cluster has them (`AnalysisMessageBase`: type, level and
 * documentation, no text), and the condition `PassedAnalysis` of Istio's reference for config status, which has the texts. Istio's condition `Reconciled` went with its
 * tracking of what proxies acknowledged (1.24). An object of which nothing was ever found is left without a status, as with Istio. Pure.
 */
import type { Condition } from '../../api/condition.ts';
import type { Finding, Level } from '../../lib/finding.ts';
import type { ObservedObject, ObservedObjects } from '../observed.ts';
import { ISTIO_KINDS, type IstioKind } from '../paths.ts';

/** As the CRDs have it. */
export interface ValidationMessage {
  readonly type: { readonly name: string; readonly code: string };
  readonly level: 'ERROR' | 'WARNING' | 'INFO';
  readonly documentationUrl?: string;
}

export interface AnalysisStatus {
  readonly kind: IstioKind;
  readonly namespace: string;
  readonly name: string;
  readonly status: { readonly conditions: readonly Condition[]; readonly validationMessages: readonly ValidationMessage[] };
}

const PASSED = 'PassedAnalysis';
const LEVELS: Readonly<Record<Level, ValidationMessage['level']>> = { Error: 'ERROR', Warning: 'WARNING', Info: 'INFO' };
/** Of a condition's message, in characters: as much as conditions of Kubernetes have. */
const MOST_TEXT = 32_768;

/**
 * Statuses of what something is found of, and of what says so and no longer should.
 * @param nameOf what a code is called
 */
export function analysisStatuses(
  findings: readonly Finding[],
  observed: ObservedObjects,
  nameOf: (code: string) => string,
): AnalysisStatus[] {
  const found = Map.groupBy(findings, ({ origin: { kind, namespace, name } }) => `${kind} ${namespace}/${name}`);
  return Object.entries(ISTIO_KINDS).flatMap(([written, kind]) =>
    observed.list(written).flatMap((object): AnalysisStatus[] => {
      const { namespace, name } = object.metadata;
      const about = found.get(`${kind} ${namespace}/${name}`) ?? [];
      if (about.length === 0 && !saysSomething(object)) return [];
      const messages = new Map(about.map((finding) => [`${finding.code} ${finding.level}`, messageOf(finding, nameOf)]));
      const status = { conditions: [passedAnalysis(object.metadata.generation, about)], validationMessages: [...messages.values()] };
      return [{ kind: written as IstioKind, namespace, name, status }];
    }),
  );
}

/** Whether analysis has said something in the status that there is. */
function saysSomething({ status: { conditions, validationMessages } }: ObservedObject): boolean {
  const failed = Array.isArray(conditions) && conditions.some(({ type, status }) => type === PASSED && status !== 'True');
  return failed || (Array.isArray(validationMessages) && validationMessages.length > 0);
}

function messageOf({ code, level }: Finding, nameOf: (code: string) => string): ValidationMessage {
  const url = code.startsWith('IST') ? `https://istio.io/latest/docs/reference/config/analysis/${code.toLowerCase()}/` : undefined;
  return { type: { name: nameOf(code), code }, level: LEVELS[level], ...(url !== undefined && { documentationUrl: url }) };
}

/** The condition of an object about whose generation this is found. Hints are no reason not to pass. */
export function passedAnalysis(generation: number | undefined, about: readonly Finding[]): Condition {
  const count = (level: Level) => about.filter((finding) => finding.level === level).length;
  const [errors, warnings] = [count('Error'), count('Warning')];
  const counted = [several(errors, 'Error'), several(warnings, 'Warning')].filter((text) => text !== '').join(' and ');
  const texts = about.map(({ code, message }) => `[${code}] ${message}`).join('\n');
  return {
    type: PASSED,
    status: errors + warnings > 0 ? 'False' : 'True',
    reason: errors > 0 ? 'errorsFound' : warnings > 0 ? 'warningsFound' : 'noIssuesFound',
    message: [counted === '' ? 'No issues found' : `${counted} found`, texts]
      .filter((text) => text !== '')
      .join('\n')
      .slice(0, MOST_TEXT),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}

function several(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}${count === 1 ? '' : 's'}`;
}
