/** The known differences from the record, each with its reason. One that is listed and does not occur is an error: the list stays true. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Case } from './cases.ts';

/**
 * What a call was made against: the embedded data plane on loopback or in the lab, Envoy with our xDS in the lab, pods of both engines on a node, and the
 * embedded data plane with the xDS of Istio's own control plane.
 */
export type Evaluator = 'loopback' | 'istiod' | 'embedded' | 'envoy' | 'embedded-pods' | 'envoy-pods' | 'simulate';

interface Entry {
  readonly case: string;
  /** Names of calls; without it, every call of the case. */
  readonly calls?: readonly string[];
  /** Without it, every evaluator. */
  readonly evaluators?: readonly Evaluator[];
  /** A race that either side may win: an agreement is no error. */
  readonly sometimes?: boolean;
  readonly reason: string;
}

export class Differences {
  readonly #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  static load(path = join(import.meta.dirname, 'differences.yaml')): Differences {
    return new Differences((parse(readFileSync(path, 'utf8')) as { differences: Entry[] | null }).differences ?? []);
  }

  /** Why this call may differ, or undefined if it may not. */
  reason(evaluator: Evaluator, caseName: string, call: string): string | undefined {
    return this.#find(evaluator, caseName, call)?.reason;
  }

  /** True if it is no error that a listed call agrees. */
  mayAgree(evaluator: Evaluator, caseName: string, call: string): boolean {
    return this.#find(evaluator, caseName, call)?.sometimes ?? false;
  }

  #find(evaluator: Evaluator, caseName: string, call: string): Entry | undefined {
    const holds = (entry: Entry) =>
      entry.case === caseName && (entry.calls?.includes(call) ?? true) && (entry.evaluators?.includes(evaluator) ?? true);
    return this.#entries.find(holds);
  }

  /** Entries that name what does not exist, or give no reason. */
  errors(cases: readonly Case[]): string[] {
    return this.#entries.flatMap((entry) => {
      const found = cases.find((each) => each.name === entry.case);
      if (found === undefined) return [`there is no case ${entry.case}`];
      const unknown = (entry.calls ?? []).filter((name) => !found.calls.some((call) => call.name === name));
      return [
        ...unknown.map((name) => `case ${entry.case} has no call "${name}"`),
        ...(entry.reason?.trim() ? [] : [`case ${entry.case}: a difference needs its reason`]),
      ];
    });
  }
}
