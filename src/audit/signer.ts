/** What signs a chain: a key from a file, or a command that has it signed elsewhere (a KMS, a token), so that the key is not on this machine. */
import { spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularFile } from '../lib/regular-file.ts';
import { keyId } from './chain/line.ts';

export interface SignerOptions {
  /** Private key, PEM (PKCS #8). */
  readonly key?: string | undefined;
  /** For a shell: gets the bytes to sign on standard input and prints the signature in base64. */
  readonly command?: string | undefined;
  /** Public key of the command's, PEM. */
  readonly publicKey?: string | undefined;
  /** The PATH by which it is run; by that of this process where it is not said. */
  readonly path?: string | undefined;
  /** How long the command may take, ms. */
  readonly commandMs?: number;
}

export interface Signer {
  readonly id: string;
  /** SubjectPublicKeyInfo, DER in base64. */
  readonly publicKey: string;
  /** In base64. Rejects where there is no valid signature to be had. */
  sign(bytes: Buffer): Promise<string>;
}

const COMMAND_MS = 30_000;
/** How many characters the command may print. */
const LONGEST_ANSWER = 4096;

/** Throws `usage`, `audit-key-unusable`. */
export function signerOf({ key, command, publicKey, path, commandMs = COMMAND_MS }: SignerOptions): Signer {
  if (key !== undefined) {
    const secret = ed25519(key, (text) => createPrivateKey(text));
    return signerFor(createPublicKey(secret), async (bytes) => sign(null, bytes, secret));
  }
  if (command === undefined || publicKey === undefined)
    throw new SallyportError(
      'usage',
      'an audit is signed: name a key with --audit-key FILE (openssl genpkey -algorithm ed25519 -out FILE makes one), or --audit-sign-command COMMAND with --audit-public-key FILE.',
    );
  return signerFor(readPublicKey(publicKey), (bytes) => signedBy(command, bytes, commandMs, path));
}

/** Throws `audit-key-unusable`. */
export function readPublicKey(file: string): KeyObject {
  return ed25519(file, (text) => createPublicKey(text));
}

function ed25519(file: string, read: (text: Buffer) => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read(readRegularFile(file));
  } catch (cause) {
    throw new SallyportError('audit-key-unusable', `${file}: ${messageOf(cause)}: it has to hold an Ed25519 key in PEM`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new SallyportError('audit-key-unusable', `${file} holds a key of type ${key.asymmetricKeyType}: audits are signed with Ed25519`);
  return key;
}

/** A signature that does not fit the key would be found only when somebody verifies. */
function signerFor(publicKey: KeyObject, make: (bytes: Buffer) => Promise<Buffer>): Signer {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return {
    id: keyId(der),
    publicKey: der.toString('base64'),
    async sign(bytes) {
      const signature = await make(bytes);
      if (!verify(null, bytes, publicKey, signature)) throw new Error('the signature that was made does not fit the public key');
      return signature.toString('base64');
    },
  };
}

function signedBy(command: string, bytes: Buffer, limitMs: number, path = process.env.PATH): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // A group of its own: what it has started ends with it, and the terminal's Ctrl-C is not for it.
    const env = { ...process.env, PATH: path };
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], detached: true, env });
    const giveUp = (why: string) => {
      endGroup(child.pid);
      child.stdout.destroy();
      reject(new Error(`the command that signs ${why}`));
    };
    const timer = setTimeout(() => giveUp(`has not answered within ${limitMs / 1000} s`), limitMs);
    let answer = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
      if (answer.length > LONGEST_ANSWER) giveUp('prints more than a signature');
    });
    // A command that does not read is told by its end.
    child.stdin.on('error', () => undefined).end(bytes);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.from(answer.trim(), 'base64'));
      else reject(new Error(`the command that signs ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
