/** The mesh's CA in a Secret, so that replicas share it and it outlives them: made on first use, and put into the folder that `Identities` follows. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMapping } from '../../api/decode.ts';
import { type AuthorityFiles, newAuthorityFiles, openAuthority } from '../../ca/authority.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import { pathOfAll } from '../../kube/paths.ts';
import { SallyportError } from '../../lib/errors.ts';
import { Redacted } from '../../lib/redacted.ts';
import { followNamed } from './follow-named.ts';

export interface AuthoritySecretOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Where its files are put. */
  readonly folder: string;
  /** The Secret can't be followed, or what it holds now is of no use: what was read before stays. */
  readonly failed: (error: unknown) => void;
}

/** The type of Istio's own, `istio-ca-secret`. */
const TYPE = 'istio.io/ca-root';

/**
 * Resolves when the files are there. @returns what ends following
 * @throws SallyportError `ca-invalid`, and what the API server answers
 */
export async function openAuthoritySecret(options: AuthoritySecretOptions): Promise<() => void> {
  const { client, namespace, name, folder, failed } = options;
  const path = pathOfAll('Secret', namespace);
  const where = `Secret ${namespace}/${name}`;
  writeFiles(folder, authorityIn(await readOrMake(client, path, name), where));
  return followNamed(client, path, name, {
    present: (secret) => {
      try {
        writeFiles(folder, authorityIn(secret, where));
      } catch (error) {
        failed(error);
      }
    },
    // What it held is in force: a CA that is deleted by mistake must not take all identities with it.
    absent: () =>
      failed(new SallyportError('ca-invalid', `${where} is gone: the CA that was read from it stays until this controller ends`)),
    failed,
  });
}

/** Of several that begin at one time one makes it. */
async function readOrMake(client: ApiClient, path: string, name: string): Promise<unknown> {
  try {
    return await client.get(`${path}/${encodeURIComponent(name)}`);
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
  }
  const files = Object.entries(newAuthorityFiles('cluster.local', Date.now()));
  const data = Object.fromEntries(files.map(([file, content]) => [file, base64(content)]));
  try {
    return await client.send('POST', path, { apiVersion: 'v1', kind: 'Secret', type: TYPE, metadata: { name }, data });
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
    return client.get(`${path}/${encodeURIComponent(name)}`);
  }
}

function base64(content: string | Redacted): string {
  return Buffer.from(typeof content === 'string' ? content : content.reveal()).toString('base64');
}

/** Istio's own Secret has a certificate and a key alone: then it is its own root. */
function authorityIn(secret: unknown, where: string): AuthorityFiles {
  const data = isMapping(secret) && isMapping(secret.data) ? secret.data : {};
  const read = (file: string) => Buffer.from(typeof data[file] === 'string' ? data[file] : '', 'base64');
  const [certificate, key] = [read('ca-cert.pem'), read('ca-key.pem')];
  if (certificate.length === 0 || key.length === 0) throw new SallyportError('ca-invalid', `${where} has no ca-cert.pem and ca-key.pem`);
  const files = {
    'ca-cert.pem': certificate.toString(),
    'ca-key.pem': new Redacted(key),
    'root-cert.pem': read('root-cert.pem').toString() || certificate.toString(),
    'cert-chain.pem': read('cert-chain.pem').toString() || certificate.toString(),
  };
  openAuthority(files, where);
  return files;
}

function writeFiles(folder: string, files: AuthorityFiles): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [file, content] of Object.entries(files) as [string, string | Redacted][]) {
    const draft = join(folder, `.${file}`);
    writeFileSync(draft, typeof content === 'string' ? content : content.reveal(), { mode: 0o600 });
    renameSync(draft, join(folder, file));
  }
}
