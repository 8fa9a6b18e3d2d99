/** The audit's own thread: whatever keeps the control plane or the traffic busy does not keep lines from the disk, and the disk keeps neither waiting. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Entry } from './chain/line.ts';
import { AuditLog, type LogState, type OnFailure } from './log.ts';
import type { Told } from './seat.ts';
import { type SignerOptions, signerOf } from './signer.ts';
import { ChainWriter } from './writer.ts';

export interface ThreadOptions {
  readonly folder: string;
  readonly signer: SignerOptions;
  readonly onFailure: OnFailure;
  readonly rotateBytes: number;
  readonly rotateMs: number;
  readonly signEveryMs: number;
  readonly product: string;
  readonly failing: SharedArrayBuffer;
}

export type ToAudit =
  | { readonly kind: 'seat'; readonly port: MessagePort; readonly taken: SharedArrayBuffer }
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'close' };

export type FromAudit =
  | { readonly kind: 'problem'; readonly code: string; readonly message: string }
  /** `damage`: what was there before is not as it was written. */
  | { readonly kind: 'open'; readonly state: LogState; readonly damage: string | undefined }
  | { readonly kind: 'state'; readonly state: LogState }
  /** Undefined: all is written and signed. */
  | { readonly kind: 'closed'; readonly state: LogState; readonly problem: string | undefined };

/** How often the state is told, ms, but for failures, which are told at once. */
const TELL_MS = 100;

const main = parentPort;
if (!main) throw new Error('this module runs in a worker thread only');
const send = (message: FromAudit): void => main.postMessage(message);

const options = workerData as ThreadOptions;
const failing = new Int32Array(options.failing);
const seats: { readonly port: MessagePort; readonly take: (told: Told) => void }[] = [];
let telling: NodeJS.Timeout | undefined;
const clocks = { date: Date.now, now: () => performance.now() };

try {
  const writer = new ChainWriter({ ...options, signer: signerOf(options.signer), ...clocks });
  // That it can be written and signed is found out before anything is let through.
  await writer.sign();
  const log = new AuditLog(writer, {
    onFailure: options.onFailure,
    signEveryMs: options.signEveryMs,
    ...clocks,
    failing: (reason) => {
      Atomics.store(failing, 0, reason === undefined ? 0 : 1);
      send({ kind: 'state', state: log.state });
    },
    changed: () => {
      telling ??= setTimeout(() => {
        telling = undefined;
        send({ kind: 'state', state: log.state });
      }, TELL_MS);
    },
  });
  main.on('message', (message: ToAudit) => void take(log, message));
  send({ kind: 'open', state: log.state, damage: writer.damage });
} catch (error) {
  send({ kind: 'problem', code: codeOf(error) ?? 'audit-unwritable', message: messageOf(error) });
}

async function take(log: AuditLog, message: ToAudit): Promise<void> {
  if (message.kind === 'entry') log.tell(message.entry);
  else if (message.kind === 'seat') sit(log, message.port, new Int32Array(message.taken));
  else {
    for (const { port, take } of seats) {
      // What was sent before is in the port, though its turn may be yet to come.
      for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) take(got.message as Told);
      port.close();
    }
    const problem = await log.close();
    clearTimeout(telling);
    send({ kind: 'closed', state: log.state, problem });
    main?.close();
  }
}

function sit(log: AuditLog, port: MessagePort, taken: Int32Array): void {
  const seat = {
    port,
    take({ entries, count, lost }: Told) {
      if (lost > 0) log.lose(lost);
      if (count > 0) log.add(entries.split('\n'), () => void Atomics.add(taken, 0, count));
    },
  };
  seats.push(seat);
  port.on('message', seat.take);
  port.on('close', () => void seats.splice(seats.indexOf(seat), 1));
}
