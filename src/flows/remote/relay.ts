/** A hub as a source of another one. */
import type { Flow, FlowSource } from '../flow.ts';
import type { FlowHub } from '../hub.ts';

export function relayOf(hub: FlowHub): FlowSource<Flow> {
  let watching: Promise<() => void> | undefined;
  return {
    watchFlows: async (deliver, dropped, sparing = false) => {
      const before = watching;
      watching = deliver && hub.watch({ filter: () => true, sparing, take: deliver, dropped, ended: () => {} });
      await watching;
      (await before)?.();
    },
    recentFlows: () => hub.recent(),
  };
}
