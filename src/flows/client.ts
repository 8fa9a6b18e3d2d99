/** Reads `GET /flows` of a running Sallyport. */
import { type IncomingMessage, request } from 'node:http';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import type { Dropped, Flow } from './flow.ts';
import { FLOWS_PATH } from './stream.ts';

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
  /** Settles when more lines may come; undefined for now. */
  taken(): Promise<unknown> | undefined;
}

/** Lines are shorter by far, characters. */
const LONGEST_LINE = 1024 * 1024;
/** Of what says why calls are not shown, characters. */
const LONGEST_WHY = 200;

/** Which flows are asked for; of a list each value will do, and none asks for all. */
export interface FlowQuery {
  readonly verdict: readonly string[];
  readonly host: readonly string[];
  readonly process: readonly string[];
  readonly protocol: readonly string[];
  readonly proxy: readonly string[];
  /** So many of those that have ended, first. */
  readonly last: number;
}

export function flowQuery(asked: FlowQuery): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of ['verdict', 'host', 'process', 'protocol', 'proxy'] as const)
    for (const value of asked[name]) query.append(name, value);
  if (asked.last > 0) query.append('last', String(asked.last));
  return query;
}

/** Resolves when the watched process ends or the signal comes; rejects with `flows-unreachable` if it does not answer. */
export async function followFlows(
  { name, where, missing }: Shown,
  query: URLSearchParams,
  signal: AbortSignal,
  reader: FlowReader,
): Promise<void> {
  const path = `${FLOWS_PATH}?${query}`;
  const answer = await new Promise<IncomingMessage | undefined>((resolve, reject) => {
    const asked = request({ ...where, path, signal, agent: false, headers: { host: 'localhost' } }, resolve);
    asked.on('error', (cause) => {
      if (signal.aborted) resolve(undefined);
      else reject(new SallyportError('flows-unreachable', `${name} does not answer: ${messageOf(cause)}; ${missing}`, { cause }));
    });
    asked.end();
  });
  if (!answer) return;
  if (answer.statusCode !== 200) {
    let why = '';
    for await (const piece of answer.setEncoding('utf8')) {
      why += piece;
      if (why.length > LONGEST_WHY) break;
    }
    why = why.trim().slice(0, LONGEST_WHY) || `status ${answer.statusCode}`;
    throw new SallyportError('flows-unreachable', `${name} does not show its calls: ${why}`);
  }
  if (answer.headers['content-type'] !== 'application/x-ndjson') {
    answer.destroy();
    throw noFlows(name);
  }
  reader.attached();
  try {
    let text = '';
    for await (const piece of answer.setEncoding('utf8')) {
      const lines = (text + piece).split('\n');
      text = lines.pop()!;
      if (text.length > LONGEST_LINE) throw noFlows(name);
      for (const line of lines) reader.line(parsed(line, name), line);
      await reader.taken();
    }
  } catch (error) {
    // A connection that is cut is an end as well: of the process, or of the watching.
    if (codeOf(error) !== 'ECONNRESET' && !signal.aborted) throw error;
  }
}

function parsed(line: string, name: string): FlowLine {
  try {
    return JSON.parse(line) as FlowLine;
  } catch {
    throw noFlows(name);
  }
}

function noFlows(name: string): SallyportError {
  return new SallyportError('flows-unreachable', `what answers as ${name} is no Sallyport that shows its calls`);
}
