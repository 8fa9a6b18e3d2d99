/** How far a long computation is, for whoever waits at a terminal. */
import { printProgress } from './print.ts';

/** No more often than this, in ms. */
const EVERY = 100;

/** Computes with a callback that takes what to show: it is shown now and then, and gone before the answer is written. */
export function withProgress<T>(compute: (tell: (text: () => string) => void) => T): T {
  let next = Date.now() + EVERY;
  try {
    return compute((text) => {
      if (Date.now() < next) return;
      next = Date.now() + EVERY;
      printProgress(text());
    });
  } finally {
    printProgress('');
  }
}
