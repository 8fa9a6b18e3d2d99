/** What a command line says of the control plane that a proxy has everything from. */
import { resolve } from 'node:path';
import { SallyportError } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import type { TlsFiles } from '../xds/ads/client-credentials.ts';

/** As they are written on the command line. */
export interface XdsTlsOptions {
  readonly xdsTokenFile?: string;
  readonly xdsCa?: string;
  readonly xdsCert?: string;
  readonly xdsKey?: string;
}

/** Undefined for plaintext. Throws `usage` for plaintext that would leave the machine, and for files that are of no use without others. */
export function tlsFiles({ address, port }: SocketAddress, { xdsCa, xdsCert, xdsKey, xdsTokenFile }: XdsTlsOptions): TlsFiles | undefined {
  if (port === 0) throw new SallyportError('usage', '--xds needs the port of the control plane, e.g. 127.0.0.1:15010');
  if ((xdsCert === undefined) !== (xdsKey === undefined))
    throw new SallyportError('usage', '--xds-cert and --xds-key go together: name the certificate chain and its private key');
  if (xdsTokenFile !== undefined && xdsCa === undefined)
    throw new SallyportError(
      'usage',
      '--xds-token-file needs --xds-ca: a token is shown to nobody but the control plane. Name the file with the certificates of those who may be that',
    );
  if (xdsCa === undefined) {
    if (xdsCert !== undefined)
      throw new SallyportError('usage', '--xds-cert needs --xds-ca: the file with the certificates of those who may be the control plane');
    if (!isLoopbackAddress(address))
      throw new SallyportError(
        'usage',
        `--xds ${address}:${port}: without TLS a control plane is asked only at a loopback address, as 127.0.0.1. Name whom to trust with --xds-ca`,
      );
    return undefined;
  }
  const own = xdsCert !== undefined && xdsKey !== undefined ? { own: { certificate: resolve(xdsCert), key: resolve(xdsKey) } } : {};
  const token = xdsTokenFile === undefined ? {} : { token: resolve(xdsTokenFile) };
  return { ca: resolve(xdsCa), ...own, ...token };
}

export interface OtherSources {
  readonly config?: string;
  readonly meshConfig?: string;
  readonly ca?: string;
  readonly engine: string;
  readonly paths: readonly string[];
}

/** Throws `usage` for options that mean another kind of proxy. */
export function checkRemote({ config, meshConfig, ca, engine, paths }: OtherSources): void {
  if (config !== undefined) throw new SallyportError('usage', '-c and --xds are two sources of one configuration: leave one out.');
  if (paths.length > 0) throw new SallyportError('usage', 'with --xds the resources are those of the control plane: leave PATH out.');
  if (meshConfig !== undefined || ca !== undefined)
    throw new SallyportError(
      'usage',
      'with --xds MeshConfig and identities are those of the control plane: leave --mesh-config and --ca out.',
    );
  if (engine !== 'embedded')
    throw new SallyportError('usage', 'Envoy connects to a control plane itself: run it with what sallyport bootstrap prints.');
}

/** Throws `usage` for options that are for a control plane, where there is none. */
export function checkAlone({ xdsCa, xdsCert, xdsKey, dnsAddress }: XdsTlsOptions & { readonly dnsAddress?: SocketAddress }): void {
  if (xdsCa ?? xdsCert ?? xdsKey)
    throw new SallyportError('usage', '--xds-ca, --xds-cert and --xds-key are for a control plane: name it with --xds ADDRESS:PORT');
  if (dnsAddress) throw new SallyportError('usage', '--dns-address is for a control plane, which has the names: add --xds ADDRESS:PORT');
}
