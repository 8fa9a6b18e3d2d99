/** Updates cross to worker threads in memory that all threads share: nothing is copied for a worker, nor again for one that starts later. */
import type { XdsUpdate } from '../xds/resources.ts';

type Resource = XdsUpdate['changed'][number];

/** A resource from this size on has memory of its own: its next version lets all of it go. */
const LARGE_BYTES = 64 * 1024;
/** Smaller ones share pieces of about this size, as ten thousands of pieces would cost more than what is in them. */
const PIECE_BYTES = 256 * 1024;

/** The same update with its bytes in shared memory. Bytes that are there already stay where they are. */
export function shareUpdate(update: XdsUpdate): XdsUpdate {
  const changed: Resource[] = [];
  let piece: Resource[] = [];
  let size = 0;
  const flush = (): void => {
    changed.push(...shared(piece));
    piece = [];
    size = 0;
  };
  for (const resource of update.changed) {
    const { length, buffer } = resource.bytes;
    if (buffer instanceof SharedArrayBuffer) changed.push(resource);
    else if (length >= LARGE_BYTES) changed.push(...shared([resource]));
    else {
      piece.push(resource);
      size += length;
      if (size >= PIECE_BYTES) flush();
    }
  }
  flush();
  return { ...update, changed };
}

function shared(resources: readonly Resource[]): Resource[] {
  const piece = new Uint8Array(new SharedArrayBuffer(resources.reduce((sum, { bytes }) => sum + bytes.length, 0)));
  let end = 0;
  return resources.map((resource) => {
    const start = end;
    end += resource.bytes.length;
    piece.set(resource.bytes, start);
    return { ...resource, bytes: piece.subarray(start, end) };
  });
}
