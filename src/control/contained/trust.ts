/** Has a command trust one more CA: by the variables that programs look at, which name files with it. Nothing but certificates is written. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { readRegularText } from '../../lib/regular-file.ts';
import { SYSTEM_BUNDLES } from '../../lib/system-bundles.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Name files that stand in the place of the system's CAs: OpenSSL, Go and Ruby; Python's requests; curl; git; the tools of AWS and Google; pip; cargo; Nix. */
const INSTEAD = [
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'AWS_CA_BUNDLE',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'HTTPLIB2_CA_CERTS',
  'PIP_CERT',
  'CARGO_HTTP_CAINFO',
  'NIX_SSL_CERT_FILE',
];
/** Name files that stand beside the CAs that the program has anyway: Node, Deno. */
const BESIDE = ['NODE_EXTRA_CA_CERTS', 'DENO_CERT'];

export interface Trust {
  /** Variables for the command. */
  readonly environment: Record<string, string>;
  /** Removes the files. */
  close(): void;
}

/** Each variable names what it named before and the CA: nobody trusts anything else than so far. @param certificate PEM */
export function trustIn(certificate: string, environment: Environment): Trust {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-trust-'));
  chmodSync(folder, 0o755);
  const written = new Map<string, string>();
  const fileWith = (before: string): string => {
    const known = written.get(before);
    if (known !== undefined) return known;
    const file = join(folder, `trusted-${written.size + 1}.pem`);
    writeFileSync(file, `${before.trimEnd()}\n${certificate}`, { mode: 0o644 });
    written.set(before, file);
    return file;
  };
  const variables = [...INSTEAD.map((name) => [name, systemRoots] as const), ...BESIDE.map((name) => [name, () => ''] as const)];
  return {
    environment: Object.fromEntries(
      variables.map(([name, otherwise]) => [name, fileWith(environment[name] ? (textOf(environment[name]) ?? '') : otherwise())]),
    ),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Those of Node where the system has none in one file. */
function systemRoots(): string {
  for (const path of SYSTEM_BUNDLES) {
    const text = textOf(path);
    if (text !== undefined) return text;
  }
  return rootCertificates.join('\n');
}

function textOf(path: string): string | undefined {
  try {
    return readRegularText(path);
  } catch {
    return undefined;
  }
}
