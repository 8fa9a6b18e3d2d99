/** Handshakes of TLS, each with one suite, one curve or one version alone. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect, getCiphers, type SecureVersion } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { typed } from '../../integration/dataplane/support.ts';

export interface Handshake {
  readonly name: string;
  readonly offer: ConnectionOptions;
}

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const CURVES = ['X25519', 'X448', 'P-256', 'P-384', 'P-521', 'secp256k1', 'brainpoolP256r1', 'ffdhe2048', 'X25519MLKEM768'];
/** Offered as they are, however weak. */
const ANY = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0';

export const HANDSHAKES: readonly Handshake[] = [
  ...VERSIONS.map((version) => ({ name: `version ${version}`, offer: { minVersion: version, maxVersion: version, ciphers: ANY } })),
  ...getCiphers()
    .filter((suite) => !suite.startsWith('tls_'))
    .map((suite) => suite.toUpperCase())
    .map((suite) => ({
      name: `suite ${suite}`,
      offer: { minVersion: 'TLSv1' as const, maxVersion: 'TLSv1.2' as const, ciphers: `${suite}:@SECLEVEL=0` },
    })),
  ...CURVES.map((ecdhCurve) => ({ name: `curve ${ecdhCurve}`, offer: { minVersion: 'TLSv1.3' as const, ecdhCurve } })),
];

/** Whether the handshake succeeds; undefined where this machine's OpenSSL can't offer it. */
export function shake(port: number, { offer }: Handshake): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    try {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'www.allowed.example', ...offer });
      socket.on('secureConnect', () => {
        resolve(true);
        socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(false));
    } catch {
      resolve(undefined);
    }
  });
}

/** A transport socket with a certificate of its own. */
export function tlsWith(folder: string, key: 'ec' | 'rsa'): JsonObject {
  const how = key === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048'];
  const files = { key: join(folder, `${key}.key`), certificate: join(folder, `${key}.crt`) };
  const names = ['-subj', '/CN=test', '-addext', 'subjectAltName=DNS:www.allowed.example'];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', ...how, '-nodes', '-days', '2', ...names, '-keyout', files.key, '-out', files.certificate],
    {
      stdio: 'pipe',
    },
  );
  const inline = (file: string) => ({ inlineString: readFileSync(file, 'utf8') });
  return {
    name: 'tls',
    typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      commonTlsContext: { tlsCertificates: [{ certificateChain: inline(files.certificate), privateKey: inline(files.key) }] },
    }),
  };
}
