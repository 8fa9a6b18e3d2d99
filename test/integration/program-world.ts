/** What tests of several programs have in common: a folder, a server behind the mesh, and programs that end with the test. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hostHere } from '../support/egress-text.ts';
import { PROGRAM, Program } from './cli/program.ts';

/** @param name of the folder @param answer of the server */
export async function programWorld(t: TestContext, name: string, answer: RequestListener) {
  const folder = mkdtempSync(join(tmpdir(), `sallyport-${name}-`));
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const programs: Program[] = [];
  t.after(async () => {
    await Promise.all(programs.map((program) => program.end()));
    server.close();
    rmSync(folder, { recursive: true });
  });
  return {
    folder,
    /** Port of the server. */
    upstream: (server.address() as AddressInfo).port,
    run(...args: string[]): Program {
      const program = new Program(args, [process.execPath, PROGRAM]);
      programs.push(program);
      return program;
    },
  };
}

/** The server as a host outside the mesh. */
export const wwwEntry = (upstream: number) => `${hostHere('www', 'www.example.com', upstream, 'shop')}\n---`;
