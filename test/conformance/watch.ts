import type { ApiClient } from '../../src/config/kubernetes/client.ts';
import { reflect } from '../../src/config/kubernetes/reflector.ts';

/** Calls back with each object of a list, and at each of its changes, until the signal. */
export function watchAll(client: ApiClient, path: string, see: (object: Record<string, unknown>) => void, signal: AbortSignal): void {
  const nothing = () => undefined;
  const told = { object: see, changed: see, deleted: nothing, restarted: nothing, complete: nothing, failed: nothing, following: nothing };
  void reflect(client, { path }, told, signal);
}
