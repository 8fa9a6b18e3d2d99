/** A language server over a pair of streams. */
import type { Readable, Writable } from 'node:stream';
import { Connection } from './connection.ts';
import { LanguageServer } from './server.ts';

/**
 * Resolves when the client goes: true if it took its leave first.
 * @param version of the product
 * @throws FrameError if what comes in is no protocol of messages
 */
export async function serveEditor(input: Readable, output: Writable, version: string): Promise<boolean> {
  const connection = new Connection(output);
  const server = new LanguageServer(connection, version);
  await connection.listen(input, server);
  return server.isShutDown;
}
