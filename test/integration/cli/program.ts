/** Runs `bin/sallyport.js` for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export { freePort } from '../../../src/lib/free-port.ts';

export const PROGRAM = join(import.meta.dirname, '../../../bin/sallyport.js');

/** Only a program that hangs takes so long. */
const DEADLINE_MS = 30_000;

export class Program {
  readonly child: ChildProcess;
  output = '';
  errors = '';
  readonly #exited: Promise<number | null>;
  #waiting: (() => void)[] = [];

  /** @param stdin `pipe`: `child.stdin` is there to be written to */
  constructor(
    args: readonly string[],
    command: readonly [string, ...string[]] = [process.execPath, PROGRAM],
    stdin: 'ignore' | 'pipe' = 'ignore',
  ) {
    const [program, ...first] = command;
    this.child = spawn(program, [...first, ...args], { stdio: [stdin, 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
    this.child.stdout?.on('data', (bytes) => this.#take('output', bytes));
    this.child.stderr?.on('data', (bytes) => this.#take('errors', bytes));
    this.#exited = once(this.child, 'close').then(([code]) => {
      this.#wake();
      return code as number | null;
    });
  }

  get exit(): Promise<number | null> {
    return this.#exited;
  }

  /** Waits until what it wrote (to stderr, if not said otherwise) has this; rejects if it ends before, or has not said it after half a minute. */
  async says(pattern: RegExp, stream: 'errors' | 'output' = 'errors'): Promise<RegExpExecArray> {
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      this.#wake();
    }, DEADLINE_MS);
    try {
      return await this.#said(pattern, stream, () => late);
    } finally {
      clearTimeout(deadline);
    }
  }

  async #said(pattern: RegExp, stream: 'errors' | 'output', late: () => boolean): Promise<RegExpExecArray> {
    for (;;) {
      if (late()) throw new Error(`it did not say ${pattern}: ${this.errors}`);
      const match = pattern.exec(this[stream]);
      if (match) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`it ended without ${pattern}: ${this.errors}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async end(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exit;
  }

  #take(stream: 'output' | 'errors', bytes: Buffer): void {
    this[stream] += bytes.toString();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Started for a test and ended with it. */
export function start(t: TestContext, args: readonly string[]): Program {
  const program = new Program(args);
  t.after(() => program.end());
  return program;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** GET by absolute-form through an HTTP proxy, or straight to an address with a Host of its own. */
export function get(port: number, target: string, host: string, address = '127.0.0.1'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: address, port, path: target, headers: { host }, agent: false }, (answer) => {
      let body = '';
      answer.on('data', (bytes) => {
        body += bytes;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}
