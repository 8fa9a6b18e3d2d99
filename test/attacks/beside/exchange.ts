/** Sends bytes and takes what comes back, and puts both into words that can be compared. */
import { connect } from 'node:net';
import type { Asked } from '../support.ts';

/** A connection on which nothing has come for so long, and which nobody has closed, waits for more: the message was not whole. */
export const QUIET_MS = 120;
/** What differs is tried again with more time: a busy machine may hold one of the two up. */
export const PATIENT_MS = 1000;

export function exchange(port: number, bytes: Buffer, quietMs: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = connect(port, '127.0.0.1');
    const quiet = setTimeout(() => socket.destroy(), quietMs);
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      quiet.refresh();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(quiet);
      resolve(Buffer.concat(pieces));
    });
    socket.write(bytes);
  });
}

/** Fields that each proxy makes itself, or that differ by the name of the product. */
const OWN = /^(?:x-request-id|x-envoy-|x-forwarded-proto|date:|server:)/;

/** Requests as a server read them. */
export const readAs = (asked: readonly Asked[]): string[] =>
  asked.map(({ line, fields, body }) => JSON.stringify([line, [...fields].filter((field) => !OWN.test(field)).sort(), body]));

/** What a client read of a response: status, fields that matter, body as it was framed. */
export function answered(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return text === '' ? 'nothing' : `no head: ${JSON.stringify(text.slice(0, 40))}`;
  const [line = '', ...fields] = text.slice(0, end).split('\r\n');
  const kept = fields.map((field) => field.toLowerCase()).filter((field) => !OWN.test(field));
  return JSON.stringify([line.slice(9, 12), kept.sort(), text.slice(end + 4, end + 200)]);
}

/** Whether a client sees that a response is not whole: by its length, or by its chunks. */
export function isCut(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return true;
  const [head, body] = [text.slice(0, end).toLowerCase(), text.slice(end + 4)];
  if (head.includes('\r\ntransfer-encoding: chunked')) return !body.endsWith('0\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  return length !== null && body.length < Number(length[1]);
}
