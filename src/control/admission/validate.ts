/** The answer to `/validate`: what is not valid is refused, and what analysis finds beside the live objects is a warning. */
import { isMapping } from '../../api/decode.ts';
import type { Finding } from '../../lib/finding.ts';
import { type Origin, originText } from '../../lib/origin.ts';
import type { AdmissionAnswer } from './review.ts';
import { decodedOf, type Submitted } from './submitted.ts';
import { cut, warningText } from './warning-text.ts';

const MOST_WARNINGS = 10;
/** Of a refusal, in characters. */
const MOST_TOLD = 4000;

/** @param caused what analysis finds with the object and not without it; undefined where that is not known in time */
export async function validateAnswer(
  submitted: Submitted,
  caused: () => Promise<readonly Finding[] | undefined>,
): Promise<AdmissionAnswer> {
  const errors = errorsOf(submitted);
  if (errors.length > 0) return { refusal: refusalText(errors) };
  const findings = await caused();
  return findings ? { warnings: warningsOf(findings, submitted.origin) } : {};
}

/**
 * What is wrong with the object itself. None for one that is being deleted: its finalizers have to go whatever it says; nor for one that is gone.
 */
export function errorsOf(submitted: Submitted): readonly Finding[] {
  const { object, isIstio } = submitted;
  if (!object || !isIstio) return [];
  if (isMapping(object.metadata) && typeof object.metadata.deletionTimestamp === 'string') return [];
  return decodedOf(submitted).findings.filter(({ level }) => level === 'Error');
}

export function refusalText(errors: readonly Finding[]): string {
  return cut(`it is not valid: ${errors.map(({ code, message }) => `${message} (${code})`).join('; ')}`, MOST_TOLD);
}

/** What is said of the object comes first. */
export function warningsOf(findings: readonly Finding[], about: Origin): string[] {
  const told = findings.filter(({ level }) => level !== 'Info');
  const own = (finding: Finding) => originText(finding.origin) === originText(about);
  const texts = [...told.filter(own), ...told.filter((each) => !own(each))].map((finding) => {
    const { code, origin, message } = finding;
    return warningText(`${code} ${own(finding) ? '' : `${originText(origin)}: `}${message}`);
  });
  if (texts.length <= MOST_WARNINGS) return texts;
  return [...texts.slice(0, MOST_WARNINGS - 1), `and ${texts.length - MOST_WARNINGS + 1} findings more: see sallyport analyze --kube`];
}
