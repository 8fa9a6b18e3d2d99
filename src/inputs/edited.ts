/** The configuration of paths as it would be with one file edited, or one more: what was not saved yet is compared with what is in force. */
import { resolve } from 'node:path';
import { type DecodeOptions, decodeDocuments } from '../api/documents.ts';
import { decodeBytes, readMarked, unreadable } from '../config/read.ts';
import { scan } from '../config/scan.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';

export interface Edit {
  /** A file under the paths, or one that is not there yet. */
  readonly file: string;
  readonly text: string;
}

/** Rejects with `path-not-found` if a path does not exist. */
export async function readEdited(paths: readonly string[], edit: Edit, options: DecodeOptions): Promise<Snapshot> {
  const store = new Store();
  const { files, unreadable: closed } = await scan(paths, true);
  for (const file of files) {
    if (resolve(file) === resolve(edit.file)) continue;
    const read = await readMarked(file);
    if (read.kind === 'content') store.set(file, decodeBytes(read.bytes, file, options));
    else store.set(file, unreadable(file, 'reason' in read ? read.reason : read.kind));
  }
  for (const { path, reason } of closed) store.set(path, unreadable(path, reason));
  store.set(edit.file, decodeDocuments(edit.text, edit.file, options));
  return store.snapshot();
}
