/** Serving until a signal or a failure ends it. */
import { type Served, type ServeOptions, serveUntilEnded } from '../control/serve.ts';
import { EXIT } from './exit.ts';
import { say } from './say.ts';

/** Returns the exit code. */
export async function serve(
  start: (ended: (error: unknown) => void) => Promise<Served>,
  options: Omit<ServeOptions, 'say'>,
): Promise<number> {
  const end = await serveUntilEnded(start, { ...options, say });
  return end === 'signal' ? EXIT.fine : EXIT.couldNotRun;
}
