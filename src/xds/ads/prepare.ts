/** What the first client of a set would have to wait for, made before it asks. */
import { TYPE_URL } from '../resources.ts';
import { type EncodedSet, listIn, versionOf } from '../update.ts';
import { warmedByAll } from './references.ts';
import { responseOf } from './responses.ts';

/** Makes the responses to an incremental client that has nothing and asks for everything, and the routes that it asks for then; they are kept as the set is. */
export function prepareResponses(set: EncodedSet): void {
  for (const type of ['cluster', 'listener'] as const) {
    const list = listIn(set, type);
    warmedByAll(list.all);
    responseOf('delta', { typeUrl: TYPE_URL[type], version: versionOf(list), resources: list.all, removed: [] }, '');
  }
  // Big ones are put together when they are first asked for.
  for (const route of listIn(set, 'route').all) route.bytes;
}
