/** The extension for Visual Studio Code, with stand-ins for the editor's own modules: what it starts, and that the server knows its settings. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsOf } from '../../../src/lsp/settings.ts';

const FOLDER = join(import.meta.dirname, '../../../deploy/editors/vscode');

interface Property {
  readonly default?: unknown;
}

const { contributes, main } = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8')) as {
  contributes: { configuration: { properties: Record<string, Property> } };
  main: string;
};
const DEFAULTS = Object.fromEntries(
  Object.entries(contributes.configuration.properties).map(([name, property]) => [name.replace('sallyport.', ''), property.default]),
);

const CLIENT = `exports.started = [];
exports.LanguageClient = class {
  constructor(...all) { exports.started.push(all); }
  start() { return Promise.resolve(); }
  stop() { return Promise.resolve(); }
};`;

test('it starts the language server with settings that the server takes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-extension-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(FOLDER, folder, { recursive: true });
  for (const [name, text] of [
    [
      'vscode/index.js',
      `exports.workspace = { getConfiguration: () => ({ ...${JSON.stringify(DEFAULTS)}, get(name) { return this[name]; } }) };`,
    ],
    ['vscode-languageclient/node.js', CLIENT],
  ] as const) {
    mkdirSync(join(folder, 'node_modules', name, '..'), { recursive: true });
    writeFileSync(join(folder, 'node_modules', name), text);
  }
  const require = createRequire(join(folder, 'x.js'));
  const extension = require(join(folder, main)) as { activate: () => Promise<void>; deactivate: () => Promise<void> };
  await extension.activate();
  await extension.deactivate();
  const { started } = require('vscode-languageclient/node') as { started: [string, string, object, { initializationOptions: object }][] };
  const [, , server, { initializationOptions }] = started[0]!;
  assert.deepEqual(server, { command: 'sallyport', args: ['lsp'] });
  const { settings, problems } = settingsOf(initializationOptions, [folder]);
  assert.deepEqual(problems, []);
  assert.deepEqual(Object.keys(settings).sort(), Object.keys(initializationOptions).sort());
  const { command: _, ...own } = DEFAULTS;
  assert.deepEqual(Object.keys(settings).sort(), Object.keys(own).sort());
});
