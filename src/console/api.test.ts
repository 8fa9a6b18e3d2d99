import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { FlowHub } from '../flows/hub.ts';
import { flowOf, TestSource } from '../flows/testing.ts';
import { API, ROUTES } from './api.ts';
import type { Difference, Explained, Verification } from './model.ts';
import { lineSchema, openApi } from './openapi.ts';
import { readShown } from './read.ts';
import type { JsonSchema } from './schema.ts';
import { type TestConsole, testConsole } from './testing.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/egress-http');

async function opened(t: TestContext, paths: readonly string[] = [EXAMPLE]): Promise<TestConsole> {
  const console = await testConsole(t, await readShown(paths, {}, async () => undefined));
  await console.enter();
  return console;
}

const document = openApi('1.2.3') as { paths: Record<string, unknown>; components: { schemas: Record<string, JsonSchema> } };

/** With the parts that it refers to. */
function validator(schema: JsonSchema) {
  const whole = JSON.stringify({ ...schema, $defs: document.components.schemas }).replaceAll('#/components/schemas/', '#/$defs/');
  return z.fromJSONSchema(JSON.parse(whole));
}

test('the document describes every question, and every part that it refers to is in it', () => {
  assert.deepEqual(
    Object.keys(document.paths),
    ROUTES.map(({ path }) => path),
  );
  const text = JSON.stringify(document);
  const parts = new Set([...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!));
  assert.ok(parts.size > 5);
  for (const name of parts) assert.ok(document.components.schemas[name], name);
  assert.deepEqual(
    Object.keys(document.components.schemas).filter((name) => !parts.has(name)),
    [],
  );
  const operations = Object.values(document.paths).flatMap((path) =>
    Object.values(path as Record<string, { operationId: string; responses: object }>),
  );
  assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, ROUTES.length);
  for (const { responses } of operations) assert.deepEqual(Object.keys(responses), ['200', 'default']);
});

test('every answer is what the document says', async (t) => {
  const console = await opened(t);
  const file = encodeURIComponent(join(EXAMPLE, 'egress.yaml'));
  const queries: Readonly<Record<string, string>> = {
    '/source': `?file=${file}`,
    '/search': '?text=www',
    '/explain': '?url=http://www.example.org/&from=default/local',
  };
  for (const route of ROUTES) {
    // These need what runs, or a finding: mends.test.ts and test/console ask them.
    if (route.kind === 'plain' && !['/xds', '/learned', '/mend', '/mend/write'].includes(route.path)) {
      const answer = await console.json(`${API}${route.path}${queries[route.path] ?? ''}`);
      validator(route.answer.json).parse(answer);
    } else if (route.kind === 'long') {
      const asking = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"before":{},"after":{}}' };
      const { text } = await console.ask(API + route.path, route.method === 'POST' ? asking : {});
      for (const line of text.trim().split('\n')) validator(lineSchema(route.answer)).parse(JSON.parse(line));
    }
  }
  const problem = await console.ask(`${API}/explain`);
  assert.equal(problem.status, 400);
  validator({ $ref: '#/$defs/Problem' }).parse(JSON.parse(problem.text));
});

test('a refused call is explained with what would allow it', async (t) => {
  const console = await opened(t);
  const refused = (await console.json(`${API}/explain?url=http://www.example.org/&from=default/local`)) as Explained;
  assert.equal(refused.outcome, 'reply');
  assert.match(refused.text, /502/);
  assert.match(refused.allow!, /kind: ServiceEntry[\s\S]*www\.example\.org/);
  const allowed = (await console.json(`${API}/explain?url=http://www.example.com/&from=default/local`)) as Explained;
  assert.equal(allowed.outcome, 'upstream');
  assert.deepEqual(
    allowed.hops.map(({ proxy }) => proxy),
    ['default/local', 'istio-system/istio-egressgateway'],
  );
  assert.ok(allowed.hops[0]!.steps.some(({ origins }) => origins.some(({ name, line }) => name === 'www-through-egress' && line! > 0)));
  assert.equal((await console.ask(`${API}/explain?url=nonsense&from=default/local`)).status, 400);
  assert.equal((await console.ask(`${API}/explain?url=http://a.example/&from=default/nobody`)).status, 404);
});

async function lastLine(console: TestConsole, path: string, body?: object): Promise<unknown> {
  const posted = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return JSON.parse((await console.ask(API + path, posted)).text.trim().split('\n').at(-1)!);
}

test('statements are proved, and refuted ones have a call that can be explained', async (t) => {
  const console = await opened(t);
  const { answer } = (await lastLine(console, '/verify')) as { answer: Verification };
  assert.deepEqual(
    answer.verdicts.map(({ adversary, result }) => [adversary, result]),
    [
      ['captured', 'proved'],
      ['bypassing', 'refuted'],
    ],
  );
  assert.match(answer.policies, /kind: NetworkPolicy/);
});

test('sides are what is shown, a revision, or a file that is edited; what is not valid is said', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-console-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(EXAMPLE, folder, { recursive: true });
  const file = join(folder, 'more.yaml');
  const entry = (host: string) =>
    `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: more }\nspec:\n  hosts: [${host}]\n  ports: [{ number: 443, name: tls, protocol: TLS }]\n  resolution: DNS\n`;
  writeFileSync(file, entry('a.example.com'));
  const console = await opened(t, [folder]);
  const compare = async (after: object) =>
    (await lastLine(console, '/diff', { before: {}, after })) as { answer: Difference; problem?: { message: string } };
  assert.deepEqual((await compare({ spec: folder })).answer.groups, []);
  const { answer } = await compare({ file, text: entry('b.example.com') });
  const kinds = answer.groups.flatMap(({ rows }) => rows.map(({ kind }) => kind));
  assert.ok(kinds.includes('widens') && kinds.includes('narrows'), kinds.join());
  assert.match(answer.groups[0]!.causes[0]!, /ServiceEntry default\/more .*more\.yaml/);
  const broken = await compare({ file, text: `${entry('b.example.com')}---\nkind: [` });
  assert.ok(broken.answer.invalid.length > 0);
  const nowhere = await compare({ spec: 'git:no-such-revision' });
  assert.match(nowhere.problem!.message, /no-such-revision/);
});

test('a revision of a repository is shown', async (t) => {
  const console = await opened(t, ['git:HEAD:examples/egress-http']);
  const resources = (await console.json(`${API}/resources`)) as { kind: string; place: { file: string } }[];
  assert.ok(resources.some(({ kind, place }) => kind === 'ServiceEntry' && place.file === 'HEAD:examples/egress-http/egress.yaml'));
  assert.match(execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }), /^\w+/);
});

/** What an event stream has said so far, until it has said this. */
async function until(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<string> {
  let said = '';
  for await (const piece of stream) {
    said += String(piece);
    if (pattern.test(said)) return said;
  }
  throw new Error(`it ended without ${pattern}: ${said}`);
}

test('calls come as events, and whoever comes again gets those in between, and no others', async (t) => {
  const source = new TestSource();
  const flows = new FlowHub();
  flows.register({ type: 'sidecar', namespace: 'default', name: 'local', addresses: [] }, source);
  const shown = { ...(await readShown([EXAMPLE], {}, async () => undefined)), kind: 'up' as const, flows };
  const console = await testConsole(t, shown);
  await console.enter();
  assert.deepEqual(source.asked, [], 'nobody watches, and traffic pays nothing');
  const first = await console.open(`${API}/events`);
  assert.equal(first.headers['content-type'], 'text/event-stream; charset=UTF-8');
  const beginning = await until(first, /event: findings/);
  assert.match(beginning, /^event: state\ndata: \{.*"hasFlows":true/);
  source.tell({ id: '1', host: 'one.example' });
  const again = await console.open(`${API}/events?verdict=allowed`);
  const said = await until(again, /one\.example/);
  const id = /id: (\S+)\nevent: flows/.exec(said)![1]!;
  source.tell({ id: '2', host: 'two.example', verdict: 'refused' });
  source.tell({ id: '3', host: 'three.example' });
  const resumed = await console.open(`${API}/events`, { headers: { 'last-event-id': id } });
  const after = await until(resumed, /three\.example/);
  assert.ok(after.includes('two.example') && !after.includes('one.example'));
  const filtered = await console.open(`${API}/events?verdict=refused&after=${id}`);
  const refused = await until(filtered, /two\.example/);
  assert.ok(!refused.includes('three.example'));
  const foreign = await console.open(`${API}/events?after=feedbeef-2`);
  assert.match(await until(foreign, /three\.example/), /one\.example/, 'numbers of another process mean nothing');
  assert.equal((await console.ask(`${API}/events?verdicts=x`)).status, 400);
  assert.equal(source.asked.filter(Boolean).length, 1, 'all share one watch');
});

test('whoever missed calls is told how many', async (t) => {
  const source = new TestSource();
  const flows = new FlowHub();
  flows.register({ type: 'sidecar', namespace: 'default', name: 'local', addresses: [] }, source);
  const shown = { ...(await readShown([EXAMPLE], {}, async () => undefined)), kind: 'up' as const, flows };
  const console = await testConsole(t, shown);
  await console.enter();
  const first = await console.open(`${API}/events`);
  await until(first, /findings/);
  for (let i = 1; i <= 12_000; i++) source.tell({ ...flowOf(), id: String(i) });
  const id = /id: (\w+)-/.exec(await until(await console.open(`${API}/events`), /event: flows/))![1]!;
  const late = await until(
    await console.open(`${API}/events?after=${id}-1000`),
    /event: dropped\ndata: .*\n\n(?:id: .*\n)?event: flows\ndata: .*\n\n/,
  );
  const lost = Number(/event: dropped\ndata: \{"count":(\d+)\}/.exec(late)![1]);
  assert.equal(lost + [...late.matchAll(/"kind":"end"/g)].length, 11_000);
});
