/** A Redis of the test's own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../src/lib/free-port.ts';
import { findTool } from './tools.ts';

/** Resolves with its port on loopback. It ends with the test. */
export async function startRedis(t: TestContext): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const port = await freePort();
  const child = spawn(findTool('redis-server')!, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]);
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  });
  let output = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    output += text;
    if (output.includes('Ready to accept connections')) break;
  }
  child.stdout.resume();
  return port;
}
