/** `run --ask`: what nothing allows is held while somebody decides, at the terminal or by a grant from elsewhere. */
import { rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { allowOption } from '../../../lib/allow-option.ts';
import { SallyportError } from '../../../lib/errors.ts';
import { openPrivateFolder } from '../../../lib/private-folder.ts';
import { type Allowed, parseAllowed } from '../../../policy/allow.ts';
import type { ControlPlane } from '../../from-files.ts';
import { addGrant, LONGEST_MS, openGrants } from '../../grants/grants-file.ts';
import { callerOf } from '../caller.ts';
import { type Decision, type Question, Questions } from './questions.ts';
import { askAtTerminal, hasTerminal } from './terminal.ts';

export interface AskOptions {
  /** How long a call is held, ms. */
  readonly timeoutMs: number;
  /** Where grants for a time are recorded; undefined: nowhere. */
  readonly grants: string | undefined;
  readonly namespace: string;
  readonly pause: () => () => void;
  readonly say: (line: string) => void;
}

export interface Asking {
  readonly questions: Questions;
  /** A file beside those of the run, with what is allowed for it. */
  readonly file: string;
  /** The mesh is there: what is allowed comes into force by it. */
  began(control: ControlPlane): void;
  close(): void;
}

/** Undefined where nobody can be asked, which is said. Throws `folder-unusable`, `grants-unwritable`. */
export function openAsking({ timeoutMs, grants, namespace, pause, say }: AskOptions): Asking | undefined {
  const terminal = hasTerminal();
  if (!terminal && grants === undefined) {
    say('--ask: there is no terminal to ask at, and no --grants by which somebody could allow it: what nothing allows is refused at once');
    return undefined;
  }
  const file = openGrants(join(openPrivateFolder(), `run-${process.pid}-allowed.yaml`));
  const begun = Promise.withResolvers<ControlPlane>();
  const allow = async (question: Question, decision: Exclude<Decision, 'deny'>): Promise<void> => {
    const ofRun = decision === 'run';
    const to = ofRun ? file : grants;
    if (to === undefined) throw new SallyportError('usage', 'there is no --grants to record it in');
    const forMs = ofRun ? LONGEST_MS : decision.forMs;
    const by = userInfo().username;
    const reason = `asked by ${question.by?.command ?? 'the command'} of run ${process.pid}`;
    for (const allowed of allowedFor(question)) {
      const { id, until } = await addGrant(to, { allowed, namespace, by, reason, forMs }, Date.now());
      if (!ofRun) say(`granted ${question.host} until ${until}: ${id}`);
    }
    await (await begun.promise).reload();
  };
  const put = (question: Question, signal: AbortSignal) =>
    askAtTerminal(question, signal, { pause, canGrant: grants !== undefined, timeoutMs, say });
  const questions = new Questions({ timeoutMs, put: terminal ? put : undefined, allow, say, callerOf });
  return {
    questions,
    file,
    began: begun.resolve,
    close: () => {
      questions.close();
      rmSync(file, { force: true });
    },
  };
}

/** As `--allow` would: 80 and 443 of a name as HTTP and TLS, other ports as TCP. */
function allowedFor({ host, ports }: Question): readonly Allowed[] {
  const written = ports.map((port) => {
    const option = allowOption({ host, port }).replace(/^--allow /, '');
    return option.startsWith('tcp://') ? option : `${option}:${port}`;
  });
  return written.map(parseAllowed);
}
