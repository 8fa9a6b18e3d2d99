/** For commands that answer and end. */
import { setFlagsFromString } from 'node:v8';

/**
 * Leaves V8's slowest compiler out, as no code runs long enough to win back the CPU time that it takes: an analysis of 6,000 objects takes two
 * thirds of the CPU time without it, a proof over 3,000 services six sevenths (docs/performance.md). Code that is compiled already stays.
 */
export function expectShortRun(): void {
  setFlagsFromString('--no-turbofan');
}
