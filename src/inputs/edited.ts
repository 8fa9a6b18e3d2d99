/** The configuration of paths as it would be with one file edited, or one more: what was not saved yet is compared with what is in force. */
import { resolve } from 'node:path';
import { type DecodeOptions, decodeDocuments } from '../api/documents.ts';
import { splitDocuments } from '../api/yaml/documents.ts';
import { decodeBytes, readMarked, unreadable } from '../config/read.ts';
import { scan } from '../config/scan.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { Store } from '../config/store.ts';

export interface Edit {
  /** A file under the paths, or one that is not there yet. */
  readonly file: string;
  /** Documents that `hiddenDocument` stands for are those of the file. */
  readonly text: string;
}

/** Stands for a document that whoever edits a file is not shown. @param index of the document in its file */
export function hiddenDocument(index: number): string {
  return `# a Secret, which is not shown (document ${index + 1})`;
}

const HIDDEN = /^# a Secret, which is not shown \(document (\d+)\)(\n*)/gm;

/** What comes after a document stays on its lines: as many stood empty below the mark. */
function withHidden(edited: string, original: string): string {
  const documents = splitDocuments(original);
  return edited.replace(HIDDEN, (mark, number: string, below: string) => {
    const text = documents[Number(number) - 1]?.text.replace(/^(?:[ \t]*\r?\n)+/, '').trimEnd();
    return text === undefined ? mark : text + below.slice(Math.min(text.split('\n').length, below.length) - 1);
  });
}

/** Rejects with `path-not-found` if a path does not exist. */
export async function readEdited(paths: readonly string[], edit: Edit, options: DecodeOptions): Promise<Snapshot> {
  const store = new Store();
  let { text } = edit;
  const { files, unreadable: closed } = await scan(paths, true);
  for (const file of files) {
    const read = await readMarked(file);
    if (resolve(file) === resolve(edit.file)) {
      if (read.kind === 'content') text = withHidden(text, Buffer.from(read.bytes).toString('utf8'));
      continue;
    }
    if (read.kind === 'content') store.set(file, decodeBytes(read.bytes, file, options));
    else store.set(file, unreadable(file, 'reason' in read ? read.reason : read.kind));
  }
  for (const { path, reason } of closed) store.set(path, unreadable(path, reason));
  store.set(edit.file, decodeDocuments(text, edit.file, options));
  return store.snapshot();
}
