/** Has a command that runs for long show its calls to `sallyport flows`. */
import type { FlowHub, ProcessOf } from '../flows/hub.ts';
import { showingFlows } from '../flows/showing.ts';
import type { Shower } from '../flows/socket.ts';
import { say } from './say.ts';

/** Around a command's work. */
export function showing<T>(command: Shower, work: (flows: FlowHub) => Promise<T>, processOf?: ProcessOf): Promise<T> {
  return showingFlows({ command, say, processOf }, work);
}
