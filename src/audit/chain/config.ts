/** A change of a proxy's configuration, as the audit tells of it. */
import type { XdsAck, XdsUpdate } from '../../xds/resources.ts';
import type { Entry } from './line.ts';

export interface ConfigChange {
  /** `namespace/name` of the proxy's workload. */
  readonly proxy: string;
  readonly role: 'sidecar' | 'router';
  /** Hash of what was in force before; empty where nothing was. */
  readonly before: string;
  readonly update: XdsUpdate;
  readonly rejected: XdsAck['rejected'];
  readonly time: string;
}

/** So many are named of those that changed, were removed and were refused, each; all are counted. */
const MOST_NAMED = 100;
const LONGEST_TEXT = 256;

export function configEntry({ proxy, role, before, update, rejected, time }: ConfigChange): Entry {
  return {
    kind: 'config',
    before,
    changed: named(update.changed),
    changedCount: update.changed.length,
    config: update.version,
    proxy,
    refused: rejected.slice(0, MOST_NAMED).map(({ type, name, message }) => ({ message: cut(message), resource: cut(`${type} ${name}`) })),
    refusedCount: rejected.length,
    removed: named(update.removed),
    removedCount: update.removed.length,
    role,
    time,
  };
}

function named(resources: readonly { readonly type: string; readonly name: string }[]): readonly string[] {
  return resources.slice(0, MOST_NAMED).map(({ type, name }) => cut(`${type} ${name}`));
}

function cut(text: string): string {
  return text.slice(0, LONGEST_TEXT);
}
