/** Asks the console's API. Nothing else is ever asked: the page's policy forbids it. */
import type { Problem } from '../../src/console/model.ts';

const API = '/api/v1';

/** What the server says is wrong, or that it does not answer. */
export class ApiError extends Error {
  readonly code: string;

  constructor({ code, message }: Problem) {
    super(message);
    this.code = code;
  }
}

/** Rejects with an `ApiError`. */
export async function ask<T>(
  path: string,
  query: Readonly<Record<string, string | readonly string[] | undefined>> = {},
  signal?: AbortSignal,
): Promise<T> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const one of [value ?? []].flat()) if (one !== '') parameters.append(name, one);
  const answer = await answered(`${path}?${parameters}`, { signal: signal ?? null });
  return (await answer.json()) as T;
}

/** Has something done. Rejects with an `ApiError`. */
export async function tell<T>(path: string, body: unknown): Promise<T> {
  const answer = await answered(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

/** A question that takes long. Rejects with an `ApiError`. @param body of a question that is posted */
export async function askLong<T>(
  path: string,
  progress: (done: number) => void,
  { body, signal }: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
): Promise<T> {
  const posted = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await answered(path, { ...posted, signal: signal ?? null });
  for await (const line of linesOf(answer)) {
    const said = JSON.parse(line) as
      | { kind: 'progress'; done: number }
      | { kind: 'answer'; answer: T }
      | { kind: 'problem'; problem: Problem };
    if (said.kind === 'answer') return said.answer;
    if (said.kind === 'problem') throw new ApiError(said.problem);
    progress(said.done);
  }
  throw new ApiError({ code: 'cut-off', message: 'the answer was cut off: is Sallyport still running?' });
}

async function answered(path: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(API + path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError({ code: 'unreachable', message: 'Sallyport does not answer: it has ended, or was started anew.' });
  }
  if (!answer.ok) throw new ApiError((await answer.json().catch(() => ({ code: 'http', message: `status ${answer.status}` }))) as Problem);
  return answer;
}

async function* linesOf(answer: Response): AsyncGenerator<string> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Ends the session of whoever entered with a token. */
export async function leave(): Promise<void> {
  await fetch('/leave', { method: 'POST', redirect: 'manual' });
  location.assign('/');
}

/** Whether what was thrown only says that nobody waits any more. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
