import type { Address, Downstream } from './types.ts';

/** Field by field, so that all have one shape: they are read for each request. */
export function copyDownstream(
  from: Downstream,
  head: Buffer | undefined,
  remoteAddress: Address,
  reenter: Downstream['reenter'],
): Downstream {
  return {
    id: from.id,
    socket: from.socket,
    head,
    remoteAddress,
    localAddress: from.localAddress,
    directRemoteAddress: from.directRemoteAddress,
    directLocalAddress: from.directLocalAddress,
    localAddressRestored: from.localAddressRestored,
    asked: from.asked,
    listenerName: from.listenerName,
    filterChainName: from.filterChainName,
    serverName: from.serverName,
    alpn: from.alpn,
    tls: from.tls,
    startTime: from.startTime,
    reenter,
  };
}
