/** Who calls the control plane from elsewhere: a certificate of the mesh says it, or a token in the call's metadata. */
import type { PeerCertificate } from 'node:tls';
import { identityOfToken, type TokenOptions } from '../../ca/tokens.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import type { Peer } from '../../lib/grpc/server.ts';
import { CONTROL_PLANE_HOST, spiffeId } from '../../lib/spiffe.ts';
import { controllerId } from './credentials.ts';
import { Failures } from './failures.ts';

export interface AuthenticationOptions {
  readonly tokens: TokenOptions;
  /** Of the newest mesh. */
  readonly trustDomain: () => string;
  /** Why a client at an address was refused; of many alike only some are told. */
  readonly refused: (address: string, reason: string) => void;
}

export class Authentication {
  readonly #options: AuthenticationOptions;
  readonly #failures: Failures;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
    this.#failures = new Failures(options.refused);
  }

  /**
   * The SPIFFE ID of whoever calls. Rejects with `xds-unauthenticated`, with `xds-too-much` for an address from which too many have failed, and with
   * `xds-unavailable` where the API server, which is to be asked, does not answer.
   */
  async identify({ address, certificate, authorization }: Peer): Promise<string> {
    const now = Date.now();
    if (certificate) {
      const identity = identityIn(certificate, now);
      if (typeof identity === 'string') return identity;
      throw this.#failed(address, now, identity.problem);
    }
    if (this.#failures.tooMany(address, now))
      throw new SallyportError('xds-too-much', 'too many calls from this address were refused: try again later');
    const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw this.#failed(address, now, 'the client has neither a certificate of the mesh nor a bearer token');
    try {
      const { tokens, trustDomain } = this.#options;
      const { namespace, serviceAccount } = await identityOfToken(token, tokens, now);
      return spiffeId(trustDomain(), namespace, serviceAccount);
    } catch (error) {
      const reason = messageOf(error);
      if (codeOf(error) === 'token-not-reviewed') {
        this.#options.refused(address, reason);
        throw new SallyportError('xds-unavailable', 'the token cannot be verified now: try again', { cause: error });
      }
      // What is wrong with files here is told to their owner alone.
      throw this.#failed(address, now, reason, codeOf(error) === 'token-refused' ? reason : 'the token cannot be verified');
    }
  }

  #failed(address: string, now: number, reason: string, said = reason): SallyportError {
    this.#failures.note(address, now, reason);
    return new SallyportError('xds-unauthenticated', said);
  }
}

/** Whether it is a control plane of this mesh: the CA gives its name to nobody else. */
export function isController({ certificate }: Peer, trustDomain: string): boolean {
  if (!certificate || identityIn(certificate, Date.now()) !== controllerId(trustDomain)) return false;
  return (certificate.subjectaltname ?? '').split(', ').includes(`DNS:${CONTROL_PLANE_HOST}`);
}

/** Names as Node has them: `URI:…, DNS:…`. One that is quoted has commas and the like in it, which no identity has. */
function identityIn({ subjectaltname = '', valid_to }: PeerCertificate, now: number): string | { readonly problem: string } {
  const names = subjectaltname.includes('"') ? [] : subjectaltname.split(', ');
  const uris = names.flatMap((name) => (name.startsWith('URI:') ? [name.slice('URI:'.length)] : []));
  const [uri, ...others] = uris;
  if (uri === undefined || others.length > 0)
    return { problem: `the client's certificate is for ${uris.join(' and ') || 'no workload of a mesh'}` };
  // A connection lasts longer than the moment in which its certificate was looked at.
  return Date.parse(valid_to) > now ? uri : { problem: `the client's certificate (${uri}) has expired` };
}
