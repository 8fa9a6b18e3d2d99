/** Which listener takes a connection whose original destination was restored (`use_original_dst`). Envoy's rule. Pure. */

import { parseIp } from '../../lib/ip.ts';
import type { Address } from '../gen/envoy/config/core/v3/address_pb.js';
import type { Listener } from '../gen/envoy/config/listener/v3/listener_pb.js';

/** The address and the additional addresses of a listener as `ip:port` keys; unix sockets and internal listeners have none. */
export function listenerAddresses(listener: Listener): { readonly ip: string; readonly port: number }[] {
  const out: { ip: string; port: number }[] = [];
  for (const address of [listener.address, ...listener.additionalAddresses.map((entry) => entry.address)]) {
    const socket = socketAddress(address);
    if (socket) out.push(socket);
  }
  return out;
}

function socketAddress(address: Address | undefined): { ip: string; port: number } | undefined {
  if (address?.address.case !== 'socketAddress') return undefined;
  const { value } = address.address;
  return { ip: value.address, port: value.portSpecifier.case === 'portValue' ? value.portSpecifier.value : 0 };
}

/** Finds the listener of an address among a set; made once for each set. */
export interface ListenerTable<T> {
  /**
   * The listener bound (or named as bound, `bind_to_port: false`) to exactly this address, else the one bound to any address on this port;
   * undefined: the listener that accepted the connection keeps it.
   */
  match(ip: string, port: number): T | undefined;
}

export function compileListeners<T>(listeners: readonly { readonly config: Listener; readonly value: T }[]): ListenerTable<T> {
  return tableOfAddresses(listeners.map(({ config, value }) => ({ keys: addressKeys(config), value })));
}

/** Of listeners with the same address, the first has it. */
export function tableOfAddresses<T>(listeners: Iterable<{ readonly keys: readonly string[]; readonly value: T }>): ListenerTable<T> {
  const exact = new Map<string, T>();
  for (const { keys, value } of listeners) {
    for (const key of keys) if (!exact.has(key)) exact.set(key, value);
  }
  return {
    match(ip, port) {
      const words = parseIp(ip);
      if (!words) return undefined;
      const any = words.length === 1 ? '0' : '0:0:0:0';
      return exact.get(`${words.join(':')}/${port}`) ?? exact.get(`${any}/${port}`) ?? exact.get(`0:0:0:0/${port}`);
    },
  };
}

/** A listener's addresses in the form in which the table looks them up. */
export function addressKeys(config: Listener): string[] {
  return listenerAddresses(config).flatMap(({ ip, port }) => {
    const words = parseIp(ip);
    return words ? [`${words.join(':')}/${port}`] : [];
  });
}
