/** Neovim itself, with the server as its language server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { findTool, needs } from '../tools.ts';

const PROGRAM = join(import.meta.dirname, '../sallyport.ts');

const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: shop }
spec:
  hosts: [api.example.com]
  ports: [{ number: 443, name: tls, protocol: TLS }]
  resolution: DNS
`;
const RULE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: shop }
spec: { host: api.exmaple.com }
`;

/** Waits for the finding, lets the editor apply its mend, goes to the definition, and says what came of each. */
const script = (command: readonly string[], folder: string) => `
local client = vim.lsp.start_client({ name = 'sallyport', cmd = ${lua(command)}, root_dir = ${JSON.stringify(folder)},
  workspace_folders = { { uri = vim.uri_from_fname(${JSON.stringify(folder)}), name = 'mesh' } } })
vim.lsp.buf_attach_client(0, client)
local result = {}
local function await(what, done) assert(vim.wait(60000, done, 20), 'no ' .. what) end
await('diagnostics', function() return #vim.diagnostic.get(0) > 0 end)
local found = vim.diagnostic.get(0)[1]
result.code, result.line, result.column = found.code, found.lnum, found.col
vim.api.nvim_win_set_cursor(0, { found.lnum + 1, found.col })
local params = vim.lsp.util.make_range_params()
params.context = { diagnostics = {} }
local actions = vim.lsp.buf_request_sync(0, 'textDocument/codeAction', params, 60000)
for _, answer in pairs(actions) do
  vim.lsp.util.apply_workspace_edit(answer.result[1].edit, 'utf-16')
end
result.mended = vim.api.nvim_buf_get_lines(0, 0, -1, false)
await('end of the diagnostics', function()
  for _, one in ipairs(vim.diagnostic.get(0)) do if one.code == result.code then return false end end
  return true
end)
local definition = vim.lsp.buf_request_sync(0, 'textDocument/definition', vim.lsp.util.make_position_params(), 60000)
for _, answer in pairs(definition) do result.definition = answer.result[1].uri end
vim.fn.writefile({ vim.fn.json_encode(result) }, ${JSON.stringify(join(folder, 'result'))})
vim.lsp.stop_client(client)
vim.cmd('qall!')
`;

function lua(words: readonly string[]): string {
  return `{ ${words.map((word) => JSON.stringify(word)).join(', ')} }`;
}

test('Neovim shows the finding, applies its mend and finds the definition', { skip: needs('nvim') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-nvim-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'entry.yaml'), ENTRY);
  writeFileSync(join(folder, 'rule.yaml'), RULE);
  writeFileSync(join(folder, 'script.lua'), script([process.execPath, PROGRAM, 'lsp'], folder));
  const args = ['--headless', '--clean', '-n', join(folder, 'rule.yaml'), '-c', `luafile ${join(folder, 'script.lua')}`, '-c', 'cquit'];
  const { stderr } = await promisify(execFile)(findTool('nvim')!, args, { timeout: 120_000 });
  assert.equal(stderr, '');
  const result = JSON.parse(readFileSync(join(folder, 'result'), 'utf8')) as Record<string, unknown>;
  assert.deepEqual(result, {
    code: 'IST0174',
    line: 3,
    column: RULE.split('\n')[3]!.indexOf('api.exmaple.com'),
    mended: RULE.replace('exmaple', 'example').trimEnd().split('\n'),
    definition: `file://${join(folder, 'entry.yaml')}`,
  });
});
