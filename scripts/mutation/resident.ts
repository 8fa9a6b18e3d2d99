/**
 * A process that keeps what is slow to load (generated code, packages) and runs tests over and over in it, each time with the product's modules loaded anew and
 * one of them changed. Asked and answered by messages of its parent; for tests of pure folders alone.
 */
import { readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { mock } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The content of `file` in place of what is there, and the tests to run; files as absolute paths. */
export interface Asked {
  readonly file?: string;
  readonly text?: string;
  readonly tests: readonly string[];
}

export interface Answered {
  /** The file of the first test that failed, and its name. */
  readonly test?: string;
  readonly failure?: string;
}

type Body = (context: object) => unknown;
interface Queued {
  readonly name: string;
  readonly body: Body;
}

const root = pathToFileURL(`${process.argv[2]}/`).href;
const sources = new Map<string, string>();
let turn = 0;
let asked: Asked = { tests: [] };
let queue: Queued[] = [];

/** What tests import as `node:test`: it collects them. */
const COLLECTOR = `
const { add, mock } = globalThis[Symbol.for('sallyport.mutation')];
export { mock };
export const test = Object.assign((...words) => add(words), { skip() {}, todo() {} });
export const it = test;
export const describe = (...words) => words.at(-1)();
export const suite = describe;
export const [before, after, beforeEach, afterEach] = [(run) => add(['before', run]), () => {}, () => { throw new Error('not here') }, () => {}];
export default test;
`;

function add(words: readonly unknown[]): void {
  const body = words.at(-1);
  const options = words.find((word) => typeof word === 'object' && word !== null) as { skip?: unknown; todo?: unknown } | undefined;
  if (typeof body === 'function' && !options?.skip && !options?.todo) queue.push({ name: String(words[0]), body: body as Body });
}
Object.assign(globalThis, { [Symbol.for('sallyport.mutation')]: { add, mock } });

function sourceOf(url: string): string {
  const path = fileURLToPath(url);
  if (path === asked.file && asked.text !== undefined) return stripTypeScriptTypes(asked.text);
  const source = sources.get(url) ?? stripTypeScriptTypes(readFileSync(path, 'utf8'));
  sources.set(url, source);
  return source;
}

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'node:test' && context.parentURL?.includes('?turn='))
      return { url: `mutation:test?turn=${turn}`, shortCircuit: true };
    const found = next(specifier, context);
    const isOurs = found.url.startsWith(root) && /\/(?:src(?!\/xds\/gen\/)|test)\/.*\.ts$/.test(found.url);
    return isOurs ? { ...found, url: `${found.url}?turn=${turn}` } : found;
  },
  load(url, context, next) {
    const [bare, query] = url.split('?turn=');
    if (query === undefined) return next(url, context);
    return { format: 'module', source: bare === 'mutation:test' ? COLLECTOR : sourceOf(bare!), shortCircuit: true };
  },
});

async function runOne({ name, body }: Queued): Promise<string | undefined> {
  const ends: (() => unknown)[] = [];
  const within = async (...words: unknown[]) => {
    const failure = await runOne({ name: String(words[0]), body: words.at(-1) as Body });
    if (failure !== undefined) throw new Error(failure);
  };
  const nothing = () => undefined;
  const context = {
    name,
    mock,
    signal: new AbortController().signal,
    diagnostic: nothing,
    skip: nothing,
    after: (end: () => unknown) => ends.push(end),
    test: within,
  };
  try {
    await body(context);
    return undefined;
  } catch {
    return name;
  } finally {
    for (const end of ends.reverse()) await Promise.resolve(end()).catch(nothing);
    mock.reset();
  }
}

async function answer(): Promise<Answered> {
  turn++;
  for (const test of asked.tests) {
    queue = [];
    try {
      await import(pathToFileURL(test).href);
    } catch (error) {
      return { test, failure: `${test} can't be loaded: ${String(error).split('\n')[0]}` };
    }
    for (const each of queue) {
      const failure = await runOne(each);
      if (failure !== undefined) return { test, failure };
    }
  }
  return {};
}

let stray: string | undefined;
for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, (error) => (stray = String(error)));
process.on('message', (message: Asked) => {
  asked = message;
  stray = undefined;
  void answer().then(({ test, failure = stray }) => process.send!({ test, failure } satisfies Answered));
});
