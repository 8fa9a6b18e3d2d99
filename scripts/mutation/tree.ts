import { createHash } from 'node:crypto';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { SourceFile } from 'typescript/unstable/ast';
import { API, type Project } from 'typescript/unstable/sync';
import type { Mutant } from './mutants.ts';

const LINKED = ['node_modules', 'dist'];
const LEFT_OUT = new Set([...LINKED, '.git', 'bench/results']);

/** A copy of the tree in which one file at a time is changed. */
export class MutatedTree {
  readonly root: string;
  private readonly typescript: API;
  private project: Project;

  constructor(from: string) {
    this.root = mkdtempSync(join(tmpdir(), 'sallyport-mutation-'));
    cpSync(from, this.root, { recursive: true, filter: (path) => !LEFT_OUT.has(relative(from, path)) });
    for (const name of LINKED) symlinkSync(join(from, name), join(this.root, name));
    this.typescript = new API({ cwd: this.root });
    this.project = this.typescript.updateSnapshot({ openProjects: [join(this.root, 'tsconfig.json')] }).getProjects()[0]!;
  }

  /** @throws an Error where `file` is no part of the project */
  source(file: string): SourceFile {
    const source = this.project.program.getSourceFile(join(this.root, file));
    if (source === undefined) throw new Error(`${file} is no source file of tsconfig.json`);
    return source;
  }

  /** A hash of what is there beside the tests. */
  state(): string {
    const hash = createHash('sha256');
    for (const file of globSync('{src,test}/**/*.{ts,yaml}', { cwd: this.root }).sort())
      if (!file.endsWith('.test.ts'))
        hash
          .update(file)
          .update('\0')
          .update(readFileSync(join(this.root, file)))
          .update('\0');
    return hash.digest('hex');
  }

  /** Calls `run` while the change is there, with whether its file's types allow it. */
  async with<T>({ file, start, end, replacement }: Mutant, run: (typed: boolean) => Promise<T>): Promise<T> {
    const path = join(this.root, file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.slice(0, start) + replacement + text.slice(end));
    try {
      return await run(this.check(path));
    } finally {
      writeFileSync(path, text);
      this.read(path);
    }
  }

  close(): void {
    this.typescript.close();
    rmSync(this.root, { recursive: true });
  }

  private check(path: string): boolean {
    this.read(path);
    return (
      this.project.program.getSyntacticDiagnostics(path).length === 0 && this.project.program.getSemanticDiagnostics(path).length === 0
    );
  }

  private read(path: string): void {
    this.project = this.typescript.updateSnapshot({ fileChanges: { changed: [path] } }).getProjects()[0]!;
  }
}
