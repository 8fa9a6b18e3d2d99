/** What a connection manager makes of a request's fields in HTTP/2 (RFC 9113 §8.3.1). */
import { isAuthority } from '../authority.ts';
import { SEEN } from '../fields.ts';
import { Head } from '../head.ts';
import type { ManagerOptions } from '../options.ts';
import type { RouteRequest } from '../routes/model.ts';
import { type BlockProblem, type FieldBlock, MALFORMED } from './field-block.ts';

/** What `:authority` names, or `host` in its place; undefined if neither is there. */
export function authorityOf(block: FieldBlock): string | undefined {
  return block.authority ?? block.host;
}

/** Why the stream of a request is to be reset; undefined for a request that is taken. `end`: nothing follows the head. */
export function requestProblem(
  block: FieldBlock,
  end: boolean,
  options: Pick<ManagerOptions, 'underscores' | 'allowConnect'>,
): BlockProblem | undefined {
  if (block.problem !== undefined) return block.problem;
  if (!block.isRequest(options.allowConnect) || (end && block.contentLength > 0)) return MALFORMED;
  const authority = authorityOf(block);
  if (authority !== undefined && authority !== '' && !isAuthority(authority)) return 'http2.invalid_authority';
  return options.underscores === 'reject' && (block.seen & SEEN.underscore) !== 0 ? 'http2.unexpected_underscore' : undefined;
}

/** The head as it goes through the proxy. `end`: nothing follows it; `random`: the request's random integer. */
export function toHead(block: FieldBlock, end: boolean, tls: RouteRequest['tls'], random: number): Head {
  const { method, protocol, scheme } = block;
  const upgrade = method === 'CONNECT' ? (protocol === '' ? 'connect' : protocol.toLowerCase()) : '';
  return new Head(
    'HTTP/2',
    // An extended CONNECT is the upgrade of HTTP/1 (RFC 8441 §4): routes see it as one.
    upgrade !== '' && upgrade !== 'connect' ? 'GET' : method,
    authorityOf(block) ?? '',
    block.path,
    scheme === 'http' || scheme === 'https' ? scheme : tls ? 'https' : 'http',
    block.headers,
    block.seen,
    upgrade,
    !end || upgrade !== '',
    random,
    tls,
  );
}
