/** Calls that a gRPC client is told to make, and what came of them. */
import { createInterface } from 'node:readline';
import type { Program } from '../cli/program.ts';

export interface Asked {
  readonly id: number;
  /** `host:port` */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  /** ms */
  readonly withinMs: number;
}

export interface Outcome {
  /** Of gRPC; 0 is OK. */
  readonly code: number;
  /** The server's answer, or why there is none. */
  readonly text: string;
}

/** A client in a process of its own, which reads calls at its stdin. */
export class Caller {
  readonly #program: Program;
  readonly #waiting = new Map<number, (outcome: Outcome) => void>();
  #next = 0;

  constructor(program: Program) {
    this.#program = program;
    createInterface({ input: program.child.stdout! }).on('line', (line) => {
      const { id, ...outcome } = JSON.parse(line) as Outcome & { id: number };
      this.#waiting.get(id)?.(outcome);
      this.#waiting.delete(id);
    });
    void program.exit.then(() => {
      for (const answer of this.#waiting.values()) answer({ code: -1, text: `the client ended: ${program.errors}` });
    });
  }

  call(target: string, headers: Asked['headers'] = {}, withinMs = 20_000): Promise<Outcome> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#program.child.stdin!.write(`${JSON.stringify({ id, target, headers, withinMs } satisfies Asked)}\n`);
    });
  }
}
