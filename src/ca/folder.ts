/** A CA in a folder of files with Istio's names (`cacerts`): made there on first use, else read. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { Redacted } from '../lib/redacted.ts';
import { readRegularFile } from '../lib/regular-file.ts';
import { type Authority, type AuthorityFiles, newAuthorityFiles, openAuthority } from './authority.ts';

/**
 * @param now ms since the epoch
 * Throws `ca-invalid` for a folder that holds something else or a part of it only, and what the file system says.
 */
export function authorityIn(folder: string, trustDomain: string, now: number): Authority {
  const files = readFiles(folder) ?? makeFiles(folder, trustDomain, now);
  return openAuthority(files, folder);
}

/** The CA as it stands in its folder now. Throws as `authorityIn`, and for a folder without one. */
export function authorityFrom(folder: string): Authority {
  const files = readFiles(folder);
  if (!files) throw new SallyportError('ca-invalid', `${folder}: ca-cert.pem, ca-key.pem and root-cert.pem are missing`);
  return openAuthority(files, folder);
}

function readFiles(folder: string): AuthorityFiles | undefined {
  const read = (name: keyof AuthorityFiles): Buffer | undefined => {
    try {
      return readRegularFile(join(folder, name));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw new SallyportError('ca-invalid', `${join(folder, name)}: ${messageOf(error)}`);
    }
  };
  const [certificate, key, root, chain] = [read('ca-cert.pem'), read('ca-key.pem'), read('root-cert.pem'), read('cert-chain.pem')];
  if (!certificate && !key && !root) return undefined;
  const lacking = !certificate ? 'ca-cert.pem' : !key ? 'ca-key.pem' : !root ? 'root-cert.pem' : undefined;
  if (lacking !== undefined) throw new SallyportError('ca-invalid', `${folder}: ${lacking} is missing`);
  return {
    'ca-cert.pem': certificate!.toString('utf8'),
    'ca-key.pem': new Redacted(key!),
    'root-cert.pem': root!.toString('utf8'),
    'cert-chain.pem': (chain ?? certificate!).toString('utf8'),
  };
}

/** Of several processes that begin at one time the first to be ready makes the CA, and the others read it. */
function makeFiles(folder: string, trustDomain: string, now: number): AuthorityFiles {
  const made = newAuthorityFiles(trustDomain, now);
  const draft = `${folder}.${process.pid}`;
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(made) as [keyof AuthorityFiles, string | Redacted][]) {
    const bytes = typeof content === 'string' ? content : content.reveal();
    writeFileSync(join(draft, name), bytes, { mode: typeof content === 'string' ? 0o644 : 0o600 });
  }
  try {
    renameSync(draft, folder);
    return made;
  } catch (error) {
    rmSync(draft, { recursive: true });
    const other = readFiles(folder);
    if (!other) throw new SallyportError('ca-invalid', `${folder}: ${messageOf(error)}`);
    return other;
  }
}
