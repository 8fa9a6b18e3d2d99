/** A data plane in the caller's thread, for where nothing else has work there: it saves the thread's heap and the second loading of modules. */
import type { ProxyFlow } from '../flows/flow.ts';
import type { Carrier, CarrierOptions } from './carrier.ts';
import { createDataPlane } from './dataplane.ts';
import { surviveFaults } from './faults.ts';
import { collectWhenIdle } from './idle-memory.ts';

export function startInThread(options: CarrierOptions): Carrier {
  const starting = createDataPlane({ ...options, audit: options.audit?.() });
  // Whoever applies something learns of it.
  starting.catch(() => undefined);
  const stopSurviving = surviveFaults(options.log);
  const stopCollecting = collectWhenIdle();
  return {
    apply: async (update) => (await starting).apply(update),
    stats: async () => (await starting).stats(),
    status: async () => [(await starting).status()],
    reopenLogs: async () => (await starting).reopenLogs(),
    watchFlows: async (deliver, dropped, sparing) => {
      const later = (_id: string, make: () => ProxyFlow) => deliver?.(make());
      (await starting).watchFlows(deliver, sparing ? { leftOut: dropped, later } : undefined);
    },
    recentFlows: async () => (await starting).recentFlows(),
    drain: async (graceMs) => (await starting).drain(graceMs),
    async close() {
      stopSurviving();
      stopCollecting();
      const plane = await starting.catch(() => undefined);
      plane?.close();
    },
  };
}
