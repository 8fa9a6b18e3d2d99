/** Writes statuses to the cluster: those alone that say something else than what is there. */
import { isMapping } from '../../api/decode.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { ObservedObjects } from '../observed.ts';
import { pathOf, type WrittenKind } from '../paths.ts';
import { mergedStatus } from './merge.ts';

/** What an object is to be told of itself. */
export interface WrittenStatus {
  readonly kind: WrittenKind;
  readonly namespace: string;
  readonly name: string;
  readonly status: object;
}

export interface StatusWriterOptions {
  readonly client: ApiClient;
  readonly observed: ObservedObjects;
  readonly controller: string;
  /** Whether this one may write just now. */
  readonly leads: () => boolean;
  readonly now: () => number;
}

/** How often a status is read anew that somebody else changed meanwhile. */
const MOST_CONFLICTS = 5;

/**
 * One status after the other. Resolves with what could not be written; the others are.
 */
export async function writeStatuses(wanted: readonly WrittenStatus[], options: StatusWriterOptions): Promise<readonly SallyportError[]> {
  const failed: SallyportError[] = [];
  for (const each of wanted) {
    if (!options.leads()) break;
    try {
      await writeStatus(each, options);
    } catch (cause) {
      const { kind, namespace, name } = each;
      const what = `${kind} ${namespace ? `${namespace}/` : ''}${name}`;
      failed.push(new SallyportError('status-unwritten', `the status of ${what} can't be written: ${messageOf(cause)}`, { cause }));
    }
  }
  return failed;
}

/** What is known of the object first; what is there if that was out of date. */
async function writeStatus(wanted: WrittenStatus, { client, observed, controller, now, leads }: StatusWriterOptions): Promise<void> {
  const { kind, namespace, name } = wanted;
  const known = observed.get(kind, namespace, name);
  if (!known) return;
  const time = new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const path = pathOf(kind, namespace, name);
  let { status: there, metadata } = known as {
    readonly status: Json;
    readonly metadata: Pick<typeof known.metadata, 'uid' | 'resourceVersion'>;
  };
  for (let attempt = 1; ; attempt++) {
    const status = mergedStatus(there, wanted, controller, time);
    if (!status || !leads()) return;
    try {
      const { uid, resourceVersion } = metadata;
      await client.send('PATCH', `${path}/status`, { metadata: { uid, resourceVersion }, status }, 'application/merge-patch+json');
      return;
    } catch (error) {
      if (isStatus(error, 404)) return;
      if (!isStatus(error, 409) || attempt === MOST_CONFLICTS) throw error;
    }
    const found = await client.get(path).catch((error: unknown) => {
      if (isStatus(error, 404)) return undefined;
      throw error;
    });
    // Another object of the same name: what is to be said of it is said when the watch has told of it.
    if (!isMapping(found) || !isMapping(found.metadata) || found.metadata.uid !== known.metadata.uid) return;
    there = isMapping(found.status) ? found.status : {};
    metadata = { uid: known.metadata.uid, resourceVersion: String(found.metadata.resourceVersion) };
  }
}

type Json = Readonly<Record<string, unknown>>;
