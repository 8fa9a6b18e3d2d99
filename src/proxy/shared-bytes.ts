/**
 * Updates cross to worker threads in memory that all threads share: nothing is copied for a worker, nor again for one that starts later. Of a resource
 * that comes with a patch, the patch alone crosses.
 */
import type { EncodedResource, RoutesPatch, SentResource, SentUpdate, XdsUpdate } from '../xds/resources.ts';

/** A resource from this size on has memory of its own: its next version lets all of it go. */
const LARGE_BYTES = 64 * 1024;
/** Smaller ones share pieces of about this size, as ten thousands of pieces would cost more than what is in them. */
const PIECE_BYTES = 256 * 1024;

/**
 * The same update with its bytes in shared memory. Bytes that are there already stay where they are.
 * @param form `whole`: for whoever does not have the versions that the patches are for
 */
export function shareUpdate(update: XdsUpdate, form: 'patches' | 'whole' = 'patches'): SentUpdate {
  const changed: SentResource[] = [];
  let piece: EncodedResource[] = [];
  let size = 0;
  const flush = (): void => {
    const bytes = shared(piece.map((resource) => resource.bytes));
    changed.push(...piece.map((resource, i) => ({ ...resource, bytes: bytes[i]! })));
    piece = [];
    size = 0;
  };
  for (const resource of update.changed) {
    const { type, name, version, patch } = resource;
    if (patch && form === 'patches') {
      changed.push({ type, name, version, patch: sharedPatch(patch) });
      continue;
    }
    const sent = { type, name, version, bytes: resource.bytes };
    const { length, buffer } = sent.bytes;
    if (buffer instanceof SharedArrayBuffer) changed.push(sent);
    else if (length >= LARGE_BYTES) changed.push({ ...sent, bytes: shared([sent.bytes])[0]! });
    else {
      piece.push(sent);
      size += length;
      if (size >= PIECE_BYTES) flush();
    }
  }
  flush();
  return { ...update, changed };
}

function sharedPatch({ base, frame, hosts }: RoutesPatch): RoutesPatch {
  const added = hosts.filter((host) => host instanceof Uint8Array);
  const [sharedFrame, ...bytes] = shared([frame, ...added]);
  const rest = bytes.values();
  return { base, frame: sharedFrame!, hosts: hosts.map((host) => (host instanceof Uint8Array ? rest.next().value! : host)) };
}

/** In one piece of memory. */
function shared(all: readonly Uint8Array[]): Uint8Array[] {
  const piece = new Uint8Array(new SharedArrayBuffer(all.reduce((sum, { length }) => sum + length, 0)));
  let end = 0;
  return all.map((bytes) => {
    const start = end;
    end += bytes.length;
    piece.set(bytes, start);
    return piece.subarray(start, end);
  });
}
