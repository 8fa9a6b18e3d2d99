import { formatPath } from '../../api/decode.ts';
import type { PathStep, Source } from '../../api/resource.ts';
import type { Position } from '../../lib/finding.ts';

/** An object of a cluster: its places are its name and the path of a field, e.g. `cluster: VirtualService default/reviews spec.http[0]`. */
export class ObjectSource implements Source {
  readonly file = '';
  readonly #object: string;

  /** @param object `Kind namespace/name`, or `Kind name` for cluster-scoped kinds */
  constructor(object: string) {
    this.#object = object;
  }

  position(path: readonly PathStep[] = [], within?: { readonly line: number; readonly column: number }): Position {
    const field = path.length > 0 ? ` ${formatPath(path)}` : '';
    const place = within ? `:${within.line}:${within.column}` : '';
    return { file: `cluster: ${this.#object}${field}${place}`, line: 0, column: 0 };
  }

  keyPosition(path: readonly PathStep[]): Position {
    return this.position(path);
  }
}
