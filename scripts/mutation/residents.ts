import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answered, Asked } from './resident.ts';
import { COMPILED, lateAfter } from './run.ts';

/** Modules of so many turns stay in memory. */
const MOST_TURNS = 40;

/** The process of `resident.ts`, and another when it hangs or has grown. */
export class Residents {
  private readonly root: string;
  private child: ChildProcess | undefined;
  private turns = 0;

  constructor(root: string) {
    this.root = root;
  }

  /** What failed, if anything; what is not done in time, ms, has. */
  ask(question: Asked, timeout: number): Promise<Answered> {
    if (this.turns++ >= MOST_TURNS) this.close();
    this.child ??= fork(join(import.meta.dirname, 'resident.ts'), [this.root], {
      cwd: this.root,
      env: COMPILED,
      execArgv: ['--max-old-space-size=2500', '--no-warnings'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const { child } = this;
    return new Promise<Answered>((resolve) => {
      const timer = setTimeout(() => {
        this.close();
        done({ failure: lateAfter(timeout) });
      }, timeout);
      const ended = () => {
        this.close();
        done({ failure: 'the process ended' });
      };
      const done = (answer: Answered) => {
        clearTimeout(timer);
        child.off('message', done).off('exit', ended);
        resolve(answer);
      };
      child.on('message', done).on('exit', ended);
      child.send(question);
    });
  }

  close(): void {
    this.child?.kill('SIGKILL');
    this.child = undefined;
    this.turns = 0;
  }
}
