import { join } from 'node:path';
import { privateFolder } from '../../lib/private-folder.ts';

/** Where grants are unless a file is named. */
export function grantsFile(): string {
  return join(privateFolder(), 'grants.yaml');
}
