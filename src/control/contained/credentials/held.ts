/** The credentials of a run: who asks for one gets its value for the host that it is for, and what cannot be had is said. */

import type { AskedCredential, CredentialSource } from '../../../lib/contained.ts';
import type { Source } from '../../../lib/credential-value.ts';
import type { Redacted } from '../../../lib/redacted.ts';
import { heldBy, type Injection } from '../../../policy/injection.ts';
import type { SourceOptions } from './options.ts';
import { sourceOf } from './sources.ts';

interface Held {
  readonly host: string;
  readonly source: Source;
  /** Said last; empty while all is well. */
  problem: string;
}

export class HeldCredentials implements CredentialSource {
  readonly #held: ReadonlyMap<string, Held>;
  readonly #say: (line: string) => void;
  readonly #ending = new AbortController();

  /** @param say takes why a credential can't be had, once until that changes */
  constructor(injections: readonly Injection[], options: Omit<SourceOptions, 'signal'>, say: (line: string) => void) {
    const given = { ...options, signal: this.#ending.signal };
    this.#held = new Map(injections.map((one) => [one.name, { host: one.host, source: sourceOf(one, given), problem: '' }]));
    this.#say = say;
  }

  get({ name }: AskedCredential, host: string, done: (value: Redacted | undefined) => void): void {
    const held = this.#held.get(name);
    if (held?.host !== host) {
      this.#say(`credential ${name} is asked for by calls to ${host}, which it is not for: they are refused`);
      done(undefined);
      return;
    }
    held.source((value) => {
      const problem = 'problem' in value ? value.problem : '';
      if (problem !== held.problem && problem !== '')
        this.#say(`credential ${name} cannot be had, so calls that need it are refused: ${problem}`);
      held.problem = problem;
      done('problem' in value ? undefined : value);
    });
  }

  /** Ends commands that still run. */
  close(): void {
    this.#ending.abort();
  }
}

/** What the command that is run has, without the variables that hold credentials. */
export function withoutCredentials(
  environment: Readonly<Record<string, string | undefined>>,
  injections: readonly Injection[],
): Record<string, string | undefined> {
  const held = new Set(injections.flatMap(({ from }) => heldBy(from).variables));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !held.has(name)));
}
