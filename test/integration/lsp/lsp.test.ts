/** What an editor gets from the language server, by the protocol's own client library. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CodeActionRequest,
  CompletionRequest,
  DefinitionRequest,
  type Diagnostic,
  DidChangeWatchedFilesNotification,
  DidCloseTextDocumentNotification,
  DocumentSymbolRequest,
  HoverRequest,
  ReferencesRequest,
} from 'vscode-languageserver-protocol/node';
import { type Editor, positionIn, startEditor } from './editor.ts';

const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: shop }
spec:
  hosts: [api.example.com]
  ports:
  - { number: 443, name: tls, protocol: TLS }
  resolution: DNS
`;
const GATEWAY = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: egress
  namespace: shop
spec:
  selector: { istio: egressgateway }
  servers:
  - port: { number: 443, name: tls, protocol: TLS }
    hosts: [api.example.com]
    tls: { mode: PASSTHROUGH }
`;
const RULE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: shop }
spec:
  host: api.example.com
  subsets:
  - name: v1
    labels: { version: v1 }
`;
const route = (host: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: api, namespace: shop }
spec:
  hosts: [api.example.com]
  gateways: [mesh, egress]
  tls:
  - match: [{ gateways: [mesh], sniHosts: [api.example.com] }]
    route:
    - destination: { host: ${host}, subset: v1 }
`;

const codes = (found: readonly Diagnostic[]) => found.map(({ code }) => code);
const misspelt = (found: readonly Diagnostic[]) => found.some(({ message }) => String(message).includes('DSN'));
const has = (code: string) => (found: readonly Diagnostic[]) => codes(found).includes(code);

/** What the range of a diagnostic or a location covers. */
function covered(editor: Editor, file: string, { start, end }: Diagnostic['range']): string {
  const text = editor.text(file);
  const offsets = [...Array(text.length + 1).keys()];
  const offset = (wanted: typeof start) =>
    offsets.find((at) => {
      const { line, character } = positionIn(text, at);
      return line === wanted.line && character === wanted.character;
    });
  return text.slice(offset(start), offset(end));
}

test('a finding comes and goes as the buffer changes, and its mend is a change of the text', async (t) => {
  const editor = await startEditor(t, { files: { 'mesh/entry.yaml': ENTRY, 'mesh/gateway.yaml': GATEWAY, 'mesh/rule.yaml': RULE } });
  await editor.open('mesh/route.yaml', route('api.exmaple.com'));
  const found = await editor.diagnostics('mesh/route.yaml', has('IST0101'));
  const finding = found.find(({ code }) => code === 'IST0101')!;
  assert.equal(covered(editor, 'mesh/route.yaml', finding.range), 'api.exmaple.com');
  assert.equal(finding.severity, 1);
  assert.equal(finding.codeDescription?.href, 'https://istio.io/latest/docs/reference/config/analysis/ist0101/');
  const textDocument = { uri: editor.uri('mesh/route.yaml') };
  const actions = await editor.connection.sendRequest(CodeActionRequest.type, {
    textDocument,
    range: finding.range,
    context: { diagnostics: [finding] },
  });
  const [action] = actions as [{ title: string; edit: { changes: Record<string, { newText: string; range: Diagnostic['range'] }[]> } }];
  assert.equal(action.title, 'Write api.example.com in place of api.exmaple.com');
  const [edit] = action.edit.changes[textDocument.uri]!;
  await editor.change('mesh/route.yaml', covered(editor, 'mesh/route.yaml', edit!.range), edit!.newText);
  await editor.diagnostics('mesh/route.yaml', (now) => !has('IST0101')(now));
  assert.equal(await editor.close(), 0);
});

test('a mend is offered of the text that was judged alone', async (t) => {
  const editor = await startEditor(t, { files: { 'entry.yaml': ENTRY } });
  const rule =
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: near, namespace: shop }\nspec:\n  host: api.exmaple.com\n';
  await editor.open('near.yaml', rule);
  await editor.diagnostics('near.yaml', has('IST0174'));
  const ask = async () => {
    const range = { start: { line: 0, character: 0 }, end: { line: 9, character: 0 } };
    const textDocument = { uri: editor.uri('near.yaml') };
    return (await editor.connection.sendRequest(CodeActionRequest.type, { textDocument, range, context: { diagnostics: [] } }))!.length;
  };
  assert.equal(await ask(), 1);
  // The same text at the same place, where it is right.
  await editor.change('near.yaml', '{ name: near, namespace: shop }\nspec:\n  host:', '\n  annotations:\n    was:');
  await editor.change('near.yaml', 'api.exmaple.com\n', 'api.exmaple.com\n  name: near\nspec: { host: api.example.com }\n');
  await editor.change('near.yaml', '    was:', '   was:');
  await editor.change('near.yaml', 'metadata: ', 'metadata:');
  assert.equal(editor.text('near.yaml').split('\n')[4], '   was: api.exmaple.com');
  assert.equal(await ask(), 0);
  await editor.close();
});

test('findings are those of sallyport analyze, of open files and of others', async (t) => {
  const files = { 'mesh/entry.yaml': ENTRY.replace('DNS', 'DSN'), 'mesh/rule.yaml': RULE.replace('api.example.com', 'nobody.example.com') };
  const editor = await startEditor(t, { files });
  const entry = await editor.diagnostics('mesh/entry.yaml', (found) => found.length > 0);
  const rule = await editor.diagnostics('mesh/rule.yaml', (found) => found.length > 0);
  const program = join(import.meta.dirname, '../sallyport.ts');
  const args = [program, 'analyze', '-o', 'json', '--failure-threshold', 'Error', join(editor.folder, 'mesh')];
  let output = '';
  try {
    output = execFileSync(process.execPath, args, { encoding: 'utf8' });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  const expected = (JSON.parse(output) as { code: string; message: string; reference: string }[]).map(
    ({ code, message, reference }) => `${reference} ${code} ${message}`,
  );
  const shown = [
    ['mesh/entry.yaml', entry],
    ['mesh/rule.yaml', rule],
  ] as const;
  const got = shown.flatMap(([file, found]) =>
    found.map(
      ({ range: { start }, code, message }) =>
        `${join(editor.folder, file)}:${start.line + 1}:${start.character + 1} ${String(code)} ${message}`,
    ),
  );
  assert.ok(expected.length > 1);
  assert.deepEqual(got.sort(), expected.sort());
  await editor.close();
});

test('positions count UTF-16 code units, and lines end as they do in the text', async (t) => {
  const editor = await startEditor(t);
  const text = ENTRY.replace(
    'metadata: { name: api, namespace: shop }',
    'metadata: { annotations: { "ä😀": "😀" }, name: api, namespce: shop }',
  );
  for (const [file, end] of [
    ['lf.yaml', '\n'],
    ['crlf.yaml', '\r\n'],
  ] as const) {
    await editor.open(file, text.replaceAll('\n', end));
    const [finding] = await editor.diagnostics(file, has('SP0008'));
    assert.equal(covered(editor, file, finding!.range), 'namespce');
    assert.deepEqual(finding!.range.start, { line: 2, character: text.split('\n')[2]!.indexOf('namespce') });
    // A change behind a character of two code units lands where it is meant.
    await editor.change(file, 'namespce', 'namespace');
    await editor.diagnostics(file, (found) => !has('SP0008')(found));
  }
  await editor.close();
});

test('files on disk count until a buffer is open, and again when it is closed', async (t) => {
  const editor = await startEditor(t, { files: { 'a.yaml': ENTRY.replace('DNS', 'DSN') } });
  await editor.diagnostics('a.yaml', misspelt);
  await editor.open('a.yaml', ENTRY);
  await editor.diagnostics('a.yaml', (found) => !misspelt(found));
  await editor.connection.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri: editor.uri('a.yaml') } });
  await editor.diagnostics('a.yaml', misspelt);
  editor.write('a.yaml', ENTRY);
  await editor.connection.sendNotification(DidChangeWatchedFilesNotification.type, { changes: [{ uri: editor.uri('a.yaml'), type: 2 }] });
  await editor.diagnostics('a.yaml', (found) => !misspelt(found));
  await editor.close();
});

test('while one object is written, the findings of the others stay and none is at a place that is gone', async (t) => {
  const editor = await startEditor(t, { files: { 'entry.yaml': ENTRY, 'route.yaml': route('api.example.com'), 'gateway.yaml': GATEWAY } });
  await editor.diagnostics('route.yaml', has('IST0101'));
  await editor.open('rule.yaml', RULE);
  await editor.diagnostics('route.yaml', (found) => !has('IST0101')(found));
  await editor.change('rule.yaml', 'spec:\n  host', 'spec:\n  hosts: [\n  host');
  const broken = await editor.diagnostics('rule.yaml', has('SP0001'));
  assert.deepEqual(codes(broken), ['SP0001']);
  assert.ok(!has('IST0101')(editor.known('route.yaml')), 'the subset is known as long as its object is being written');
  await editor.close();
});

test('fields, values and names are completed', async (t) => {
  const editor = await startEditor(t, { files: { 'entry.yaml': ENTRY, 'gateway.yaml': GATEWAY, 'rule.yaml': RULE } });
  await editor.open('new.yaml', `${route('HOST').replace('subset: v1', 'subset: SUBSET')}    wei\n---\nkind: Ga\n`);
  const labels = async (before: string): Promise<string[]> => {
    const items = (await editor.connection.sendRequest(CompletionRequest.type, editor.at('new.yaml', before))) as { label: string }[];
    return items.map(({ label }) => label);
  };
  assert.deepEqual(await labels('wei'), []);
  assert.deepEqual(await labels('host: HOST'), ['api.example.com']);
  await editor.change('new.yaml', 'HOST', 'api.example.com');
  assert.deepEqual(await labels('SUBSET'), ['v1']);
  assert.deepEqual(await labels('[mesh, egress'), ['mesh', 'egress']);
  assert.deepEqual(await labels('namespace: shop'), ['shop']);
  assert.ok((await labels('kind: Ga')).includes('Gateway'));
  await editor.change('new.yaml', '    wei', '      wei');
  assert.deepEqual(await labels('wei'), ['weight']);
  await editor.change('new.yaml', '  tls:\n', '  e\n  tls:\n');
  assert.ok((await labels('  e')).includes('exportTo'));
  assert.ok(!(await labels('  e')).includes('gateways'), 'what is there already');
  await editor.close();
});

test('hover says what the field means and what applies to the host', async (t) => {
  const editor = await startEditor(t, { files: { 'entry.yaml': ENTRY, 'gateway.yaml': GATEWAY, 'rule.yaml': RULE } });
  await editor.open('route.yaml', route('api.example.com'));
  const hover = async (before: string) => {
    const found = await editor.connection.sendRequest(HoverRequest.type, editor.at('route.yaml', before, 1));
    return (found?.contents as { value: string } | undefined)?.value ?? '';
  };
  assert.match(await hover('gateways'), /\*\*spec\.gateways\*\*.*\n\nWhere the routes hold/);
  const host = await hover('host: api.example.com');
  assert.match(host, /\*\*host api\.example\.com\*\*/);
  assert.match(host, /Declared by:\n\n- ServiceEntry shop\/api .*443 TLS/);
  assert.match(host, /DestinationRules:\n\n- DestinationRule shop\/api/);
  assert.match(await hover('kind: VirtualService'), /\*\*host api\.example\.com\*\*/);
  await editor.close();
});

test('definitions and references of hosts, gateways and subsets', async (t) => {
  const editor = await startEditor(t, { files: { 'entry.yaml': ENTRY, 'gateway.yaml': GATEWAY, 'rule.yaml': RULE } });
  await editor.open('route.yaml', route('api.example.com'));
  const definition = async (before: string) => {
    const found = await editor.connection.sendRequest(DefinitionRequest.type, editor.at('route.yaml', before, 1));
    return (found as { uri: string; range: Diagnostic['range'] }[]).map(
      ({ uri, range }) =>
        `${uri.slice(uri.lastIndexOf('/') + 1)}:${range.start.line + 1}:${range.start.character + 1}-${range.end.character + 1}`,
    );
  };
  assert.deepEqual(await definition('host: api.example.com'), ['entry.yaml:5:11-26']);
  assert.deepEqual(await definition('[mesh, egress'), ['gateway.yaml:4:9-15']);
  assert.deepEqual(await definition('subset: v1'), ['rule.yaml:7:11-13']);
  const references = await editor.connection.sendRequest(ReferencesRequest.type, {
    ...editor.at('route.yaml', 'host: api.example.com', 1),
    context: { includeDeclaration: true },
  });
  const files = (references ?? []).map(({ uri }) => uri.slice(uri.lastIndexOf('/') + 1)).sort();
  assert.deepEqual(files, ['entry.yaml', 'gateway.yaml', 'route.yaml', 'route.yaml', 'rule.yaml']);
  await editor.close();
});

test('objects are the symbols of a document', async (t) => {
  const editor = await startEditor(t);
  await editor.open('all.yaml', `# all\n${ENTRY}---\n${GATEWAY}`);
  const found = await editor.connection.sendRequest(DocumentSymbolRequest.type, { textDocument: { uri: editor.uri('all.yaml') } });
  const symbols = (found as { name: string; range: Diagnostic['range']; selectionRange: Diagnostic['range'] }[]).map(
    ({ name, range, selectionRange }) => [name, range.start.line, covered(editor, 'all.yaml', selectionRange)],
  );
  assert.deepEqual(symbols, [
    ['ServiceEntry shop/api', 1, 'api'],
    ['Gateway shop/egress', 10, 'egress'],
  ]);
  await editor.close();
});

test('templates, patches and files of other tools bring no errors', async (t) => {
  const editor = await startEditor(t, {
    files: {
      'chart/Chart.yaml': 'apiVersion: v2\nname: chart\nversion: 1.0.0\n',
      'chart/values.yaml': 'host: a\n',
      'chart/templates/entry.yaml': ENTRY.replace('api.example.com', '{{ .Values.host }}').replace(
        'hosts:',
        '{{- if .Values.on }}\n  hosts:',
      ),
      'kustomize/kustomization.yaml':
        'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [entry.yaml]\npatches: [{ path: patch.yaml }]\n',
      'kustomize/entry.yaml': ENTRY,
      'kustomize/patch.yaml': ENTRY.replace(/ {2}hosts.*\n/, ''),
      'package.json': '{ "name": "x", "kind": "y" }',
      'workflow.yaml': 'on: push\njobs: { a: { steps: !x [] } }\n',
      'quoted.yaml': ENTRY.replace('name: api,', 'name: "{{ .Values.name }}",'),
      'own.yaml': ENTRY.replace('DNS', 'DSN').replace('name: api,', 'name: own,'),
    },
  });
  const own = await editor.diagnostics('own.yaml', (found) => found.length > 0);
  assert.ok(own.some(({ severity }) => severity === 1));
  const quiet = [
    'chart/Chart.yaml',
    'chart/values.yaml',
    'chart/templates/entry.yaml',
    'kustomize/patch.yaml',
    'package.json',
    'workflow.yaml',
    'quoted.yaml',
  ];
  for (const file of quiet) assert.deepEqual(editor.known(file), [], file);
  assert.ok(editor.known('kustomize/kustomization.yaml').every(({ severity }) => severity === 3));
  await editor.open('kustomize/patch.yaml', ENTRY.replace(/ {2}hosts.*\n/, ''));
  await editor.connection.sendRequest(DocumentSymbolRequest.type, { textDocument: { uri: editor.uri('kustomize/patch.yaml') } });
  assert.ok(editor.said.some((message) => message.includes('is a patch of a kustomization')));
  await editor.close();
});

test('each of several configurations is judged alone', async (t) => {
  const files = { 'a/entry.yaml': ENTRY, 'b/entry.yaml': ENTRY, 'b/route.yaml': route('nobody.example.com') };
  const editor = await startEditor(t, { files, settings: { configurations: ['a', 'b'], hints: 'yes' } });
  await editor.diagnostics('b/route.yaml', has('IST0101'));
  assert.ok(!has('SP0009')([...editor.known('a/entry.yaml'), ...editor.known('b/entry.yaml')]));
  assert.deepEqual(editor.said, ['the setting hints is not true or false']);
  await editor.close();
  const together = await startEditor(t, { files });
  const [twice] = await together.diagnostics('b/entry.yaml', has('SP0009'));
  assert.deepEqual(
    twice!.relatedInformation?.map(({ location }) => location.uri),
    [together.uri('a/entry.yaml')],
  );
  await together.close();
});

test('the MeshConfig that a setting names counts wherever it stands, and what settings name and nobody has is said', async (t) => {
  const wrong = 'outboundTrafficPolicy: { mdoe: REGISTRY_ONLY }\n';
  const files = { 'mesh/entry.yaml': ENTRY, '.istio/mesh': wrong };
  const editor = await startEditor(t, { files, settings: { configurations: ['mesh', 'mesch'], meshConfig: '.istio/mesh' } });
  await editor.diagnostics('.istio/mesh', (found) => found.some(({ message }) => String(message).includes('mdoe')));
  assert.deepEqual(editor.said, ['Sallyport: the setting configurations names mesch, where no file is read.']);
  await editor.close();
  const other = await startEditor(t, { files: { 'entry.yaml': ENTRY.replace('DNS', 'DSN') }, settings: { meshConfig: 'mesh' } });
  await other.diagnostics('entry.yaml', misspelt);
  assert.match(other.said.join(), /the setting meshConfig names \S+\/mesh, which cannot be read/);
  await other.close();
});
