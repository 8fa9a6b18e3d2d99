/** What clients and files may not do to the language server. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Diagnostic, HoverRequest } from 'vscode-languageserver-protocol/node';
import { startEditor, startServer } from './editor.ts';

const frame = (body: string | Buffer, length = Buffer.byteLength(body)) =>
  Buffer.concat([Buffer.from(`Content-Length: ${length}\r\n\r\n`), Buffer.from(body)]);
const INITIALIZE = frame('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}');

/** Writes, and resolves with the output as text and the exit code once the server has ended. */
async function told(server: ChildProcess, parts: readonly Buffer[]): Promise<{ readonly output: string; readonly code: number }> {
  let output = '';
  server.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  server.stdin!.on('error', () => undefined);
  for (const part of parts)
    if (!server.stdin!.write(part)) await Promise.race([once(server.stdin!, 'drain'), once(server, 'exit')]).catch(() => undefined);
  server.stdin!.end();
  const [code] = await once(server, 'close');
  return { output, code: code as number };
}

/** The memory of a process, in MiB, at its highest. */
const peak = (server: ChildProcess) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024;

for (const [name, bytes, reason] of [
  ['no length', Buffer.from('Content-Type: x\r\n\r\n{}'), 'no valid Content-Length'],
  ['a length that is no number', Buffer.from('Content-Length: -5\r\n\r\n{}'), 'no valid Content-Length'],
  ['two lengths', Buffer.from('Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}'), 'no valid Content-Length'],
  ['a length beyond any editor’s', Buffer.from('Content-Length: 999999999\r\n\r\n{}'), 'longer than'],
  ['a header without end', Buffer.alloc(1_000_000, 'a'), 'the header of a message has more than'],
] as const)
  test(`${name}: the server says so and ends`, async (t) => {
    const { output, code } = await told(startServer(t), [INITIALIZE, bytes]);
    assert.match(output, /"capabilities"/);
    assert.ok(output.includes(reason), output);
    assert.equal(code, 3);
  });

test('what is no message is refused, and the next one is answered', async (t) => {
  const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
  const bodies = ['{', '"text"', '[]', '7', '{"method":{}}', '{"id":2,"method":5}', '{"id":[],"method":"shutdown"}', '\0\0', deep];
  const wrong = [...bodies.map((body) => frame(body)), frame(Buffer.from([0x22, 0xff, 0xfe, 0x22]))];
  const last = frame('{"jsonrpc":"2.0","id":"last","method":"no/such"}');
  const { output, code } = await told(startServer(t), [INITIALIZE, ...wrong, last]);
  assert.equal(output.match(/"error"/g)!.length, wrong.length + 1);
  assert.match(output, /"id":"last","error":\{"code":-32601/);
  // It went without taking its leave.
  assert.equal(code, 1);
});

test('requests before the beginning and after the end are refused', async (t) => {
  const hover = (id: number) => frame(`{"jsonrpc":"2.0","id":${id},"method":"textDocument/hover","params":{}}`);
  const shutdown = frame('{"jsonrpc":"2.0","id":7,"method":"shutdown"}');
  const exit = frame('{"jsonrpc":"2.0","method":"exit"}');
  const { output, code } = await told(startServer(t), [hover(5), INITIALIZE, hover(6), shutdown, hover(8), exit]);
  assert.match(output, /"id":5,"error":\{"code":-32002/);
  assert.match(output, /"id":6,"error":\{"code":-32602/);
  assert.match(output, /"id":8,"error":\{"code":-32600/);
  assert.equal(code, 0);
});

test('huge, deep and broken texts: others are answered, and memory stays bounded', async (t) => {
  const editor = await startEditor(t);
  const good = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { name: a }\nspec: {}\n';
  const head = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n';
  const texts = {
    deep: `${head}data: ${'['.repeat(200_000)}`,
    nested: `${head}data: ${'{ a: '.repeat(50_000)}`,
    dashes: `${head}data:\n${'- '.repeat(100_000)}`,
    nul: `${head}data: { a: "\0\0" }\n${'\0'.repeat(1_000_000)}`,
    long: `${head}data: { a: "${'x'.repeat(8_000_000)}" }\n`,
    aliases: `${head}data:\n  a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `  b${i}: &b${i} [${i ? `*b${i - 1}, *b${i - 1}` : '*a, *a'}]\n`).join('')}`,
    documents: '---\na: b\n'.repeat(100_000),
    surrogates: `${head}data: { a: "\ud800" }\n`,
  };
  for (const [name, text] of Object.entries(texts)) await editor.open(`${name}.yaml`, text);
  await editor.open('good.yaml', good.replace('spec:', 'spce:'));
  await editor.diagnostics('good.yaml', (found: readonly Diagnostic[]) => found.some(({ code }) => code === 'SP0008'));
  for (const name of Object.keys(texts)) await editor.connection.sendRequest(HoverRequest.type, editor.at(`${name}.yaml`, 'a'));
  assert.ok(peak(editor.server) < 1000, `${peak(editor.server)} MiB`);
  await editor.close();
});

test('positions beyond the text and changes of what is not open are taken for its end, or left alone', async (t) => {
  const editor = await startEditor(t);
  await editor.open('a.yaml', 'kind: Gateway\n');
  const position = { line: 4_000_000, character: 4_000_000 };
  for (const uri of [editor.uri('a.yaml'), editor.uri('none.yaml'), 'untitled:x', 'file://elsewhere/x', 'no uri'])
    assert.equal(await editor.connection.sendRequest(HoverRequest.type, { textDocument: { uri }, position }), null);
  const contentChanges = [{ range: { start: position, end: { line: 0, character: 0 } }, text: 'x' }];
  for (const uri of [editor.uri('a.yaml'), editor.uri('none.yaml')])
    await editor.connection.sendNotification('textDocument/didChange', { textDocument: { uri, version: 2 }, contentChanges });
  await assert.rejects(editor.connection.sendRequest('textDocument/hover', { textDocument: 7 }), /no valid uri/);
  await editor.close();
});

test('each text counts, whatever the versions say, and after a change that is none what is on disk does', async (t) => {
  const right = 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { name: default, namespace: shop }\nspec: {}\n';
  const wrong = right.replace('spec:', 'spcc:');
  const editor = await startEditor(t, { files: { 'a.yaml': wrong.replace('spcc', 'spac') } });
  const textDocument = { uri: editor.uri('a.yaml'), version: 1 };
  const says = (what: string) => editor.diagnostics('a.yaml', (found) => found.some(({ message }) => String(message).startsWith(what)));
  const isRight = (found: readonly Diagnostic[]) => !found.some(({ code }) => code === 'SP0008');
  const change = (version: unknown, ...contentChanges: object[]) =>
    editor.connection.sendNotification('textDocument/didChange', { textDocument: { ...textDocument, version }, contentChanges });
  await says('spac');
  await change(1, { range: { start: { line: 0, character: 0 }, end: { line: 9, character: 0 } }, text: right });
  await editor.open('a.yaml', wrong);
  await says('spcc');
  await change(1, { text: right });
  await editor.diagnostics('a.yaml', isRight);
  await change(1, { text: wrong.replace('spcc', 'spxc') });
  await says('spxc');
  await change(null, { text: right });
  await editor.diagnostics('a.yaml', isRight);
  await change(3, { range: { start: { line: -1 } }, text: 'x' });
  await says('spac');
  assert.ok(
    editor.said.some((line) => /a\.yaml: the parameters have no valid line\. Until it is opened again/.test(line)),
    editor.said.join('\n'),
  );
  await editor.close();
});

test('what a workspace holds is read and never run, and links out of it are not followed', async (t) => {
  const editor = await startEditor(t, { files: { 'a.yaml': 'apiVersion: v1\nkind: Gatway\nmetadata: { name: a }\n' } });
  const ran = join(editor.folder, 'ran');
  for (const file of ['package.json', '.envrc', 'kustomization.yaml', 'sallyport.js'])
    editor.write(file, `!!js/function "require('fs').writeFileSync('${ran}', '')"\n$(touch ${ran})\n`);
  const secret = 'apiVersion: v1\nkind: Nothing\nmetadata: { name: secret }\n';
  const outside = `${editor.folder}-outside.yaml`;
  writeFileSync(outside, secret);
  t.after(() => rmSync(outside));
  symlinkSync(outside, join(editor.folder, 'link.yaml'));
  await editor.connection.sendNotification('workspace/didChangeWatchedFiles', { changes: [] });
  const [finding] = await editor.diagnostics('link.yaml', (found) => found.length > 0);
  assert.match(String(finding!.message), /leads out of the given paths/);
  assert.ok(!existsSync(ran));
  await editor.close();
});
