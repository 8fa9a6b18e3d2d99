/** What is new among findings, of one report after the other. */
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import type { ControlEvent } from './report.ts';

export class News {
  #findings: ReadonlyMap<string, Finding> = new Map();

  /** Undefined where nothing is new. Two findings that read the same are one. */
  ofFindings(findings: readonly Finding[]): Extract<ControlEvent, { kind: 'findings' }> | undefined {
    const before = this.#findings;
    const now = new Map(findings.map((finding) => [JSON.stringify(findingJson(finding)), finding]));
    this.#findings = now;
    const beyond = (list: ReadonlyMap<string, Finding>, known: ReadonlyMap<string, Finding>) =>
      [...list].filter(([key]) => !known.has(key)).map(([, finding]) => finding);
    const fresh = beyond(now, before);
    const mended = beyond(before, now);
    return fresh.length + mended.length > 0 ? { kind: 'findings', fresh, mended } : undefined;
  }
}
