/** Has a command that runs for long show its calls to `sallyport flows`. */
import { messageOf } from '../lib/errors.ts';
import { FlowHub, type ProcessOf } from './hub.ts';
import type { Shower } from './socket.ts';

interface Shown {
  readonly flows: FlowHub;
  /** Tells whoever watches that it is over. */
  close(): Promise<void>;
}

/** Nothing waits for it. Where calls cannot be shown, the command runs all the same, and says so. */
function shown({ command, say, processOf }: ShowingOptions): Shown {
  const flows = new FlowHub({ processOf });
  const showing = import('./socket.ts')
    .then(({ showFlows }) => showFlows(flows, command))
    .catch((error: unknown) => {
      say(`sallyport flows cannot watch this: ${messageOf(error)}`);
      return undefined;
    });
  return {
    flows,
    close: async () => {
      const end = await showing;
      await end?.();
    },
  };
}

export interface ShowingOptions {
  readonly command: Shower;
  readonly say: (line: string) => void;
  /** Which program makes a call. */
  readonly processOf?: ProcessOf | undefined;
}

/** Around a command's work. */
export async function showingFlows<T>(options: ShowingOptions, work: (flows: FlowHub) => Promise<T>): Promise<T> {
  const { flows, close } = shown(options);
  try {
    return await work(flows);
  } finally {
    await close();
  }
}
