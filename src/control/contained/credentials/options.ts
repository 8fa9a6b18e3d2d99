/** What sources of credentials stand on. */
import type { OwnWay } from '../../own-way.ts';

export interface SourceOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Milliseconds since the epoch, by which outputs say when they expire. */
  readonly date: () => number;
  /** How requests of this program's own leave; without, directly. */
  readonly way?: OwnWay | undefined;
  /** Ends commands that run. */
  readonly signal: AbortSignal;
}
