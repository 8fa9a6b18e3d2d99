import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Imports that are there at run time; that a word in a comment looks like one does no harm, as only the choice of tests rests on it. */
const IMPORT =
  /^(?:import|export)\s(?!type\b)[^;']*?'(\.[^']+)'|\bimport\('(\.[^']+)'\)|^} from '(\.[^']+)'|\bimport\.meta\.resolve\('(\.[^']+)'\)/gm;

/** Which file of the tree imports which; files as paths from its root. */
export class ImportGraph {
  private readonly importers = new Map<string, string[]>();

  constructor(root: string) {
    for (const file of globSync(['src/**/*.ts', 'test/**/*.ts'], { cwd: root, exclude: ['src/xds/gen/**'] }).sort()) {
      const text = readFileSync(join(root, file), 'utf8');
      for (const match of text.matchAll(IMPORT)) {
        const target = posix.join(dirname(file), match[1] ?? match[2] ?? match[3] ?? match[4]!);
        const list = this.importers.get(target) ?? [];
        if (list.at(-1) !== file) list.push(file);
        this.importers.set(target, list);
      }
    }
  }

  /** The tests that import `file`, over others too, and over how many; the nearest first, among equals those that stand nearer to it. */
  testsOf(file: string): string[] {
    const distances = new Map([[file, 0]]);
    for (const [each, distance] of distances)
      for (const importer of this.importers.get(each) ?? []) if (!distances.has(importer)) distances.set(importer, distance + 1);
    return [...distances.keys()]
      .filter((each) => each.endsWith('.test.ts'))
      .sort((a, b) => distances.get(a)! - distances.get(b)! || shared(b, file) - shared(a, file) || (a < b ? -1 : 1));
  }
}

/** How many folders the two have in common. */
function shared(a: string, b: string): number {
  const other = dirname(b).split('/');
  const differs = dirname(a)
    .split('/')
    .findIndex((part, index) => part !== other[index]);
  return differs === -1 ? other.length : differs;
}
