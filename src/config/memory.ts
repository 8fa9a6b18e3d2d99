import { type DecodeOptions, decodeDocuments } from '../api/documents.ts';
import type { Snapshot } from './snapshot.ts';
import { Store } from './store.ts';

interface MemoryOptions extends DecodeOptions {
  /** What positions call the text. */
  readonly file?: string;
  /** Whether the text has all that there is, as of a cluster. */
  readonly complete?: boolean;
  /** What time it is for objects that end, ms since the epoch. */
  readonly now?: () => number;
}

/** The snapshot of objects written as YAML or JSON in a string. */
export function snapshotFromText(text: string, options: MemoryOptions = {}): Snapshot {
  const store = new Store(options.complete, options.now);
  const file = options.file ?? 'inline.yaml';
  store.set(file, decodeDocuments(text, file, options));
  return store.snapshot();
}
