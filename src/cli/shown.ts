/** Has a command that runs for long show its calls to `sallyport flows`. */
import type { FlowHub, ProcessOf } from '../flows/hub.ts';
import { showingFlows } from '../flows/showing.ts';
import type { Shower } from '../flows/socket.ts';
import { say } from './say.ts';

/** Around a command's work. Envoy does not tell of its calls. */
export function showing<T>(
  command: Shower,
  engine: string,
  work: (flows: FlowHub | undefined) => Promise<T>,
  processOf?: ProcessOf,
): Promise<T> {
  return engine === 'embedded' ? showingFlows({ command, say, processOf }, work) : work(undefined);
}
