/** Reads `GET /flows` of a running Sallyport. */
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Dropped, Flow } from '../flows/flow.ts';
import { FLOWS_PATH } from '../flows/stream.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';

export type FlowLine = Flow | Dropped;

/** Whose calls are watched. */
export interface Shown {
  /** For people. */
  readonly name: string;
  readonly where: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  /** What to look at if it does not answer. */
  readonly missing: string;
}

export interface FlowReader {
  /** From now on all is told. */
  attached(): void;
  /** @param text as it came */
  line(line: FlowLine, text: string): void;
}

/** Resolves when the watched process ends or the signal comes; rejects with `flows-unreachable` if it does not answer. */
export async function followFlows(
  { name, where, missing }: Shown,
  query: URLSearchParams,
  signal: AbortSignal,
  reader: FlowReader,
): Promise<void> {
  const path = `${FLOWS_PATH}?${query}`;
  const answer = await new Promise<import('node:http').IncomingMessage | undefined>((resolve, reject) => {
    const asked = request({ ...where, path, signal, agent: false, headers: { host: 'localhost' } }, resolve);
    asked.on('error', (cause) => {
      if (signal.aborted) resolve(undefined);
      else reject(new SallyportError('flows-unreachable', `${name} does not answer: ${messageOf(cause)}; ${missing}`, { cause }));
    });
    asked.end();
  });
  if (!answer) return;
  // A connection that is cut is an end as well.
  answer.on('error', () => undefined);
  if (answer.statusCode !== 200) {
    let text = '';
    for await (const piece of answer.setEncoding('utf8')) text += piece;
    throw new SallyportError(
      'flows-unreachable',
      `${name} does not show its calls: ${text.trim().slice(0, 200) || `status ${answer.statusCode}`}`,
    );
  }
  reader.attached();
  const lines = createInterface({ input: answer });
  lines.on('line', (text) => reader.line(JSON.parse(text) as FlowLine, text));
  await new Promise<void>((resolve) => {
    answer.on('close', resolve);
    lines.on('close', resolve);
  });
}
