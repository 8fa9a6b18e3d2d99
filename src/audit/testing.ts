/** For tests: a key, a folder and a writer. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Signer, signerOf } from './signer.ts';
import { ChainWriter, type WriterOptions } from './writer.ts';

export interface TestKey {
  readonly file: string;
  readonly publicFile: string;
  readonly publicKey: KeyObject;
  readonly signer: Signer;
}

export function tempFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-audit-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function keyIn(folder: string): TestKey {
  const pair = generateKeyPairSync('ed25519');
  const file = join(folder, 'key.pem');
  const publicFile = join(folder, 'public.pem');
  writeFileSync(file, pair.privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  writeFileSync(publicFile, pair.publicKey.export({ format: 'pem', type: 'spki' }));
  return { file, publicFile, publicKey: createPublicKey(pair.privateKey), signer: signerOf({ key: file }) };
}

export function writerIn(folder: string, { signer }: TestKey, more: Partial<WriterOptions> = {}): ChainWriter {
  return new ChainWriter({
    folder,
    signer,
    rotateBytes: 1 << 20,
    rotateMs: 3_600_000,
    product: 'test',
    date: () => Date.UTC(2026, 0, 2),
    now: () => 0,
    ...more,
  });
}

/** A call of a test, in canonical form. */
export function callOf(host: string): string {
  return JSON.stringify({ host, kind: 'call', port: 443, verdict: 'allowed' });
}
