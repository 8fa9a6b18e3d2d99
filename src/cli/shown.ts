/** Has a command that runs for long show its calls to `sallyport flows`. */
import { FlowHub, type ProcessOf } from '../flows/hub.ts';
import type { Shower } from '../flows/socket.ts';
import { messageOf } from '../lib/errors.ts';
import { say } from './say.ts';

interface Shown {
  readonly flows: FlowHub;
  /** Tells whoever watches that it is over. */
  close(): Promise<void>;
}

/** Nothing waits for it. Where calls cannot be shown, the command runs all the same, and says so. */
function shown(command: Shower, processOf?: ProcessOf): Shown {
  const flows = new FlowHub(processOf);
  const showing = import('../flows/socket.ts')
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

/** Around a command's work. Envoy does not tell of its calls. */
export async function showing<T>(
  command: Shower,
  engine: string,
  work: (flows: FlowHub | undefined) => Promise<T>,
  processOf?: ProcessOf,
): Promise<T> {
  if (engine !== 'embedded') return work(undefined);
  const { flows, close } = shown(command, processOf);
  try {
    return await work(flows);
  } finally {
    await close();
  }
}
