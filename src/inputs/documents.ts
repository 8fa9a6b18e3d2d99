/** Documents as they are written, for a command that writes them anew. */
import { decodeDocuments } from '../api/documents.ts';
import { STDIN, scan } from '../config/scan.ts';
import { Store } from '../config/store.ts';
import { documentsOf, type WrittenDocument } from '../convert/documents.ts';
import { readRegularText } from '../lib/regular-file.ts';
import type { Documents } from '../prove/convert.ts';
import { demandObjects, type ReadFilesOptions, type Tell } from './files.ts';

/** @throws SallyportError `path-not-found`, or what reading a file throws */
export async function readDocuments(paths: readonly string[], options: ReadFilesOptions, tell: Tell): Promise<Documents> {
  const { files } = await scan(
    paths.filter((path) => path !== STDIN),
    true,
  );
  const { namespace = 'default' } = options;
  const store = new Store();
  const documents: WrittenDocument[] = [];
  const take = (text: string, file: string) => {
    store.set(file, decodeDocuments(text, file, { namespace }));
    documents.push(...documentsOf(text, namespace));
  };
  for (const file of files) take(readRegularText(file), file);
  if (paths.includes(STDIN)) {
    const parts: Buffer[] = [];
    for await (const part of process.stdin) parts.push(part as Buffer);
    take(Buffer.concat(parts).toString('utf8'), STDIN);
  }
  const snapshot = store.snapshot();
  await demandObjects(snapshot, paths, options, tell);
  return { snapshot, documents };
}
