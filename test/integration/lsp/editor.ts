/** An editor: the protocol's own client library over the stdio of `sallyport lsp`, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  createProtocolConnection,
  type Diagnostic,
  DidChangeTextDocumentNotification,
  DidOpenTextDocumentNotification,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  LogMessageNotification,
  type Position,
  type ProtocolConnection,
  PublishDiagnosticsNotification,
  RegistrationRequest,
  ShowMessageNotification,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver-protocol/node';

const PROGRAM = join(import.meta.dirname, '../sallyport.ts');

export function startServer(t: TestContext): ChildProcess {
  const server = spawn(process.execPath, [PROGRAM, 'lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => server.kill('SIGKILL'));
  return server;
}

export interface Editor {
  readonly folder: string;
  readonly connection: ProtocolConnection;
  /** What the server logged or showed. */
  readonly said: readonly string[];
  readonly server: ChildProcess;
  uri(file: string): string;
  write(file: string, text: string): void;
  open(file: string, text: string): Promise<void>;
  /** Replaces `from`, which stands once in what is open, by `to`. */
  change(file: string, from: string, to: string): Promise<void>;
  /** What is open. */
  text(file: string): string;
  /** What is known of the file. */
  known(file: string): readonly Diagnostic[];
  /** The next diagnostics of the file that fit, beginning with what is known. */
  diagnostics(file: string, fits: (found: readonly Diagnostic[]) => boolean): Promise<readonly Diagnostic[]>;
  /** The place behind `before` in what is open, or so many characters in front of it. */
  at(file: string, before: string, back?: number): { textDocument: { uri: string }; position: Position };
  /** Resolves with the exit code. */
  close(): Promise<number>;
}

interface StartOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly settings?: object;
}

/** Offsets and positions of the protocol, counted here without the product. */
export function positionIn(text: string, offset: number): Position {
  const lines = text.slice(0, offset).split(/\r\n|\r|\n/);
  return { line: lines.length - 1, character: lines.at(-1)!.length };
}

/** Ends with the test at the latest. */
export async function startEditor(t: TestContext, { files = {}, settings }: StartOptions = {}): Promise<Editor> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lsp-'));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  const server = startServer(t);
  const connection = createProtocolConnection(new StreamMessageReader(server.stdout!), new StreamMessageWriter(server.stdin!));
  const said: string[] = [];
  const known = new Map<string, readonly Diagnostic[]>();
  let waiting: (() => void)[] = [];
  connection.onNotification(PublishDiagnosticsNotification.type, ({ uri, diagnostics }) => {
    known.set(uri, diagnostics);
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  });
  connection.onNotification(LogMessageNotification.type, ({ message }) => void said.push(message));
  connection.onNotification(ShowMessageNotification.type, ({ message }) => void said.push(message));
  connection.onRequest(RegistrationRequest.type, () => undefined);
  connection.listen();
  await connection.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    capabilities: { workspace: { didChangeWatchedFiles: { dynamicRegistration: true } } },
    workspaceFolders: [{ uri: pathToFileURL(folder).href, name: 'mesh' }],
    initializationOptions: settings,
  });
  await connection.sendNotification(InitializedNotification.type, {});
  const texts = new Map<string, string>();
  const uri = (file: string) => pathToFileURL(join(folder, file)).href;
  let version = 0;
  return {
    folder,
    connection,
    said,
    server,
    uri,
    write,
    text: (file) => texts.get(file)!,
    open: async (file, text) => {
      texts.set(file, text);
      const textDocument = { uri: uri(file), languageId: 'yaml', version: ++version, text };
      await connection.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });
    },
    change: async (file, from, to) => {
      const before = texts.get(file)!;
      const start = before.indexOf(from);
      if (start < 0) throw new Error(`${from} does not stand in ${file}`);
      const range = { start: positionIn(before, start), end: positionIn(before, start + from.length) };
      texts.set(file, before.slice(0, start) + to + before.slice(start + from.length));
      const textDocument = { uri: uri(file), version: ++version };
      await connection.sendNotification(DidChangeTextDocumentNotification.type, { textDocument, contentChanges: [{ range, text: to }] });
    },
    known: (file) => known.get(uri(file)) ?? [],
    diagnostics: async (file, fits) => {
      for (;;) {
        const found = known.get(uri(file));
        if (found && fits(found)) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    at: (file, before, back = 0) => {
      const text = texts.get(file)!;
      const offset = text.indexOf(before);
      if (offset < 0) throw new Error(`${before} does not stand in ${file}`);
      return { textDocument: { uri: uri(file) }, position: positionIn(text, offset + before.length - back) };
    },
    close: async () => {
      const exited = once(server, 'exit');
      if (server.exitCode === null) {
        await connection.sendRequest(ShutdownRequest.type);
        await connection.sendNotification(ExitNotification.type);
      }
      const [code] = server.exitCode === null ? await exited : [server.exitCode];
      connection.dispose();
      rmSync(folder, { recursive: true, force: true });
      return code as number;
    },
  };
}
