/** The language server: what each message of an editor is answered with. */
import { pathToFileURL } from 'node:url';
import type { CodeAction, DocumentSymbol, InitializeResult, Location, MarkupContent } from 'vscode-languageserver-protocol';
import { type Resource, resourceText } from '../api/resource.ts';
import { messageOf } from '../lib/errors.ts';
import { Checking } from './checking.ts';
import { completionsAt } from './completion.ts';
import type { Configuration } from './configuration.ts';
import { type Connection, type Peer, RequestError, RPC } from './connection.ts';
import { type Cursor, cursorAt } from './cursor.ts';
import { kindOf } from './fields.ts';
import { hoverAt } from './hover.ts';
import { type Mention, type Name, nameOfCursor } from './names.ts';
import { filePath, listOf, type Params, paramsOf, position, range, text, version } from './params.ts';
import { foldersOf, settingsOf } from './settings.ts';
import { isBefore, TextLines, wordEnd } from './text.ts';
import { Workspace, type WorkspaceSettings } from './workspace.ts';

/** Larger buffers are not taken in, as with files. */
const LARGEST_BUFFER = 32 * 1024 * 1024;
/** The protocol's numbers. */
const INFO = 3;
const WARNING = 2;
const OBJECT_SYMBOL = 19;

type Handler = (params: Params) => unknown;

interface Open {
  readonly workspace: Workspace;
  readonly checking: Checking;
  readonly settings: WorkspaceSettings;
}

export class LanguageServer implements Peer {
  readonly #connection: Connection;
  readonly #version: string;
  #open: Open | undefined;
  #folders: readonly string[] = [];
  #watches = false;
  #isShutDown = false;
  /** The URI under which the editor has a file open. */
  readonly #uris = new Map<string, string>();
  /** What is said already is not said again. */
  #said: ReadonlySet<string> = new Set();

  isOver = false;

  readonly #requests = new Map<string, Handler>([
    ['initialize', (params) => this.#initialize(params)],
    ['shutdown', () => this.#shutdown()],
    ['textDocument/completion', (params) => this.#completion(params)],
    ['textDocument/hover', (params) => this.#hover(params)],
    ['textDocument/definition', (params) => this.#definition(params)],
    ['textDocument/references', (params) => this.#references(params)],
    ['textDocument/codeAction', (params) => this.#codeActions(params)],
    ['textDocument/documentSymbol', (params) => this.#symbols(params)],
  ]);

  readonly #notifications = new Map<string, Handler>([
    ['initialized', () => this.#initialized()],
    ['exit', () => this.#exit()],
    ['textDocument/didOpen', (params) => this.#didOpen(params)],
    ['textDocument/didChange', (params) => this.#didChange(params)],
    ['textDocument/didClose', (params) => this.#didClose(params)],
    ['textDocument/didSave', () => this.#refresh()],
    ['workspace/didChangeWatchedFiles', () => this.#refresh()],
    ['workspace/didChangeWorkspaceFolders', (params) => this.#didChangeFolders(params)],
  ]);

  /** @param version of the product */
  constructor(connection: Connection, version: string) {
    this.#connection = connection;
    this.#version = version;
  }

  /** Whether the client took its leave before it went. */
  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  async request(method: string, params: unknown): Promise<unknown> {
    const handler = this.#requests.get(method);
    if (!handler) throw new RequestError(RPC.noSuchMethod, `there is no request ${method.slice(0, 100)}`);
    if (this.#isShutDown) throw new RequestError(RPC.invalidRequest, 'the server is shut down');
    if (!this.#open && method !== 'initialize') throw new RequestError(RPC.notInitialized, 'the server is not initialized');
    return handler(paramsOf(params));
  }

  async notified(method: string, params: unknown): Promise<void> {
    const handler = this.#notifications.get(method);
    if (!handler || (!this.#open && method !== 'exit')) return;
    try {
      await handler(paramsOf(params));
    } catch (error) {
      this.#log(`${method}: ${messageOf(error)}`);
    }
  }

  #initialize(params: Params): InitializeResult {
    if (this.#open) throw new RequestError(RPC.invalidRequest, 'the server is initialized already');
    this.#folders = foldersOf(params);
    const { settings, problems } = settingsOf(params.initializationOptions, this.#folders);
    for (const problem of problems) this.#log(problem);
    const workspace = new Workspace(this.#folders, settings);
    const checking = new Checking(workspace, {
      found: (file, shown) =>
        this.#publish(
          file,
          shown.map(({ diagnostic }) => diagnostic),
        ),
      failed: (error) => this.#log(`the check of the workspace broke: ${messageOf(error)}`),
    });
    this.#open = { workspace, checking, settings };
    const watching = paramsOf(paramsOf(paramsOf(params.capabilities).workspace).didChangeWatchedFiles);
    this.#watches = watching.dynamicRegistration === true;
    return {
      capabilities: {
        positionEncoding: 'utf-16',
        textDocumentSync: { openClose: true, change: 2, save: { includeText: false } },
        completionProvider: { triggerCharacters: [' ', '/'] },
        hoverProvider: true,
        definitionProvider: true,
        referencesProvider: true,
        documentSymbolProvider: true,
        codeActionProvider: { codeActionKinds: ['quickfix'] },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
      },
      serverInfo: { name: 'sallyport', version: this.#version },
    };
  }

  async #initialized(): Promise<void> {
    if (this.#watches) {
      const watchers = [{ globPattern: '**/*.{yaml,yml,json}' }];
      const registrations = [{ id: 'files', method: 'workspace/didChangeWatchedFiles', registerOptions: { watchers } }];
      this.#connection.ask('client/registerCapability', { registrations });
    }
    await this.#refresh();
  }

  #shutdown(): null {
    this.#isShutDown = true;
    return null;
  }

  #exit(): void {
    this.isOver = true;
  }

  #present(): Open {
    return this.#open!;
  }

  async #refresh(): Promise<void> {
    const { workspace, checking } = this.#present();
    const missing = await workspace.refresh();
    for (const message of missing.filter((what) => !this.#said.has(what)))
      this.#connection.notify('window/showMessage', { type: WARNING, message: `Sallyport: ${message}.` });
    this.#said = new Set(missing);
    checking.want();
  }

  #log(message: string): void {
    this.#connection.notify('window/logMessage', { type: INFO, message });
  }

  async #publish(file: string, diagnostics: readonly object[]): Promise<void> {
    const version = this.#present().workspace.version(file);
    const uri = this.#uriOf(file);
    this.#connection.notify('textDocument/publishDiagnostics', { uri, diagnostics, ...(version !== undefined && { version }) });
    await this.#connection.drained();
  }

  #uriOf(file: string): string {
    return this.#uris.get(file) ?? pathToFileURL(file).href;
  }

  async #didOpen(params: Params): Promise<void> {
    const document = paramsOf(params.textDocument);
    const uri = text(document, 'uri');
    const file = filePath(uri);
    if (file === undefined) return;
    this.#uris.set(file, uri);
    this.#take(file, version(document), new TextLines(text(document, 'text')));
    this.#sayIfLeftOut(file);
  }

  /** What is not judged is not taken for right. */
  #sayIfLeftOut(file: string): void {
    const reason = this.#present().workspace.leftOut(file);
    if (reason === undefined) return;
    const what =
      reason === 'chart'
        ? 'belongs to a chart: what it becomes is not judged here; helm template CHART | sallyport analyze - does'
        : 'is a patch of a kustomization: what it becomes is not judged here; kubectl kustomize FOLDER | sallyport analyze - does';
    this.#log(`${file} ${what}`);
  }

  #take(file: string, count: number | undefined, lines: TextLines): void {
    const { workspace, checking } = this.#present();
    if (lines.text.length > LARGEST_BUFFER) {
      this.#lose(file, `it has more than ${LARGEST_BUFFER / 1024 / 1024} MiB`);
      return;
    }
    workspace.setBuffer(file, count, lines);
    workspace.arrange();
    checking.want();
  }

  /** Changes that come after one that was not taken in would be made to another text. */
  #lose(file: string, reason: string): void {
    const { workspace, checking } = this.#present();
    this.#log(`${file}: ${reason}. Until it is opened again, what is on disk counts`);
    workspace.closeBuffer(file);
    workspace.arrange();
    checking.want();
  }

  #didChange(params: Params): void {
    const document = paramsOf(params.textDocument);
    const file = filePath(text(document, 'uri'));
    const before = file === undefined ? undefined : this.#present().workspace.buffer(file);
    if (file === undefined || !before) return;
    let lines = before;
    try {
      for (const change of listOf(params.contentChanges)) lines = changed(lines, paramsOf(change));
    } catch (error) {
      this.#lose(file, messageOf(error));
      return;
    }
    this.#take(file, version(document), lines);
  }

  async #didClose(params: Params): Promise<void> {
    const file = filePath(text(paramsOf(params.textDocument), 'uri'));
    if (file === undefined) return;
    this.#present().workspace.closeBuffer(file);
    await this.#refresh();
    this.#uris.delete(file);
  }

  async #didChangeFolders(params: Params): Promise<void> {
    const event = paramsOf(params.event);
    const paths = (list: unknown) => foldersOf({ workspaceFolders: list });
    const removed = new Set(paths(event.removed));
    this.#folders = [...new Set([...this.#folders.filter((folder) => !removed.has(folder)), ...paths(event.added)])];
    this.#present().workspace.useFolders(this.#folders);
    await this.#refresh();
  }

  /** The document that a request is about; undefined where it is not open, and no file of the workspace either. */
  #document(params: Params): Document | undefined {
    const file = filePath(text(paramsOf(params.textDocument), 'uri'));
    const { workspace } = this.#present();
    const lines = file === undefined ? undefined : workspace.lines(file);
    return file === undefined || !lines ? undefined : { file, lines, configuration: workspace.configurationOf(file) };
  }

  #cursor(params: Params): (Document & { readonly cursor: Cursor }) | undefined {
    const document = this.#document(params);
    const cursor = document && cursorAt(document.lines.text, document.lines.offsetAt(position(params.position)));
    return document && cursor && { ...document, cursor };
  }

  get #namespace(): string {
    return this.#present().settings.namespace;
  }

  #completion(params: Params): unknown {
    const at = this.#cursor(params);
    return at ? completionsAt(at.cursor, at.lines, this.#namespace, at.configuration?.names) : [];
  }

  #hover(params: Params): unknown {
    const at = this.#cursor(params);
    const value = at && hoverAt(at.cursor, this.#namespace, at.configuration);
    if (!at || value === undefined) return null;
    const contents: MarkupContent = { kind: 'markdown', value };
    return { contents, range: at.lines.range(at.cursor.start, at.cursor.end) };
  }

  #nameAt(params: Params): { readonly name: Name; readonly configuration: Configuration } | undefined {
    const at = this.#cursor(params);
    const names = at?.configuration?.names;
    const name = at && nameOfCursor(at.cursor, kindOf(at.cursor), this.#namespace, names);
    return name && at.configuration && { name, configuration: at.configuration };
  }

  #definition(params: Params): Location[] {
    const at = this.#nameAt(params);
    return at ? at.configuration.names.declarations(at.name).flatMap((mention) => this.#location(mention, at.configuration)) : [];
  }

  #references(params: Params): Location[] {
    const at = this.#nameAt(params);
    if (!at) return [];
    const whole = paramsOf(params.context).includeDeclaration !== false;
    const mentions = at.configuration.names.mentions(at.name).filter(({ declares }) => whole || !declares);
    return mentions.flatMap((mention) => this.#location(mention, at.configuration));
  }

  #location({ resource, path }: Mention, configuration: Configuration): Location | [] {
    const place = resource.source.position(path);
    const lines = configuration.lines(place.file);
    if (!lines) return [];
    const start = lines.offsetOfPlace(place);
    return { uri: this.#uriOf(place.file), range: lines.range(start, wordEnd(lines.text, start)) };
  }

  #codeActions(params: Params): CodeAction[] {
    const document = this.#document(params);
    const wanted = range(params.range);
    if (!document) return [];
    const { file, lines } = document;
    const { checking } = this.#present();
    // Places are those of the text that was judged.
    if (checking.judged(file)?.text !== lines.text) return [];
    return checking.shown(file).flatMap(({ diagnostic, mend }): CodeAction[] => {
      if (!mend || isBefore(wanted.end, diagnostic.range.start) || isBefore(diagnostic.range.end, wanted.start)) return [];
      const edit = { changes: { [this.#uriOf(file)]: [{ range: mend.range, newText: mend.to }] } };
      return [{ title: `Write ${mend.to} in place of ${mend.from}`, kind: 'quickfix', diagnostics: [diagnostic], isPreferred: true, edit }];
    });
  }

  #symbols(params: Params): DocumentSymbol[] {
    const document = this.#document(params);
    if (!document?.configuration) return [];
    const { file, lines, configuration } = document;
    const own = configuration.snapshot.all().filter(({ source, derivedFrom }) => source.file === file && !derivedFrom);
    const starts = own.map((resource) => lines.offsetOfPlace(resource.source.position())).sort((a, b) => a - b);
    return own.map((resource) => {
      const start = lines.offsetOfPlace(resource.source.position());
      const next = starts.find((other) => other > start) ?? lines.text.length;
      return symbolOf(resource, lines, start, next);
    });
  }
}

/** Throws `RequestError`. */
function changed(lines: TextLines, change: Params): TextLines {
  const inserted = text(change, 'text');
  if (change.range === undefined) return new TextLines(inserted);
  const { start, end } = range(change.range);
  const before = lines.text.slice(0, lines.offsetAt(start));
  return new TextLines(before + inserted + lines.text.slice(Math.max(before.length, lines.offsetAt(end))));
}

interface Document {
  readonly file: string;
  readonly lines: TextLines;
  /** Undefined: it is none of any configuration. */
  readonly configuration: Configuration | undefined;
}

function symbolOf(resource: Resource, lines: TextLines, start: number, next: number): DocumentSymbol {
  const marker = lines.text.slice(start, next).search(/^(?:---|\.\.\.)/m);
  const name = lines.offsetOfPlace(resource.source.position(['metadata', 'name']));
  const end = Math.max(marker < 0 ? next : start + marker, wordEnd(lines.text, name));
  return {
    name: resourceText(resource),
    kind: OBJECT_SYMBOL,
    range: lines.range(start, end),
    selectionRange: lines.range(name, wordEnd(lines.text, name)),
  };
}
