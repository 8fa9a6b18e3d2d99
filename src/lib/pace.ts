/** Long work in slices, so that what else the thread has to do is done between them. */

/** Undefined while there is time left in the slice; else a promise to wait for before going on. */
export type Pace = () => Promise<void> | undefined;

/** `sliceMs`: how long a slice of work may take. `now`: in ms, monotonic. */
export function createPace(sliceMs: number, now: () => number): Pace {
  let until = now() + sliceMs;
  return () => {
    if (now() < until) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        until = now() + sliceMs;
        resolve();
      });
    });
  };
}

/** Runs through the steps at this pace, and resolves with what they return. Rejects with what they throw. */
export async function paced<T>(steps: Generator<void, T>, pace: Pace): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const pause = pace();
    if (pause) await pause;
  }
}

/** Runs through the steps without a pause. */
export function finished<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
