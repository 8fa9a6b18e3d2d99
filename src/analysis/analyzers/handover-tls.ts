import type { Server } from '../../api/index.ts';
import { fullHostname, hostCovers, hostsOverlap } from '../../lib/hostname.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import { type Arrival, type UpstreamTls, upstreamTls } from '../arrivals.ts';
import type { Context } from '../context.ts';
import { type AnyRule, type Gateway, gatewayServices, type VirtualService } from '../egress-model.ts';
import { portsBehind } from './gateway-handover.ts';
import { bareHost } from './virtual-service-gateways.ts';

interface Serving {
  readonly gateway: Gateway;
  readonly server: Server;
}

/** SP1014, SP1017, SP1035: TLS that sidecars originate to a gateway, or do not, held against what the gateway's servers do with it. */
export function gatewayTlsFits(context: Context, arrival: Arrival): void {
  const gateways = gatewayServices(context).get(arrival.service.hostname);
  if (!gateways || arrival.by !== 'sidecar' || arrival.resource.kind !== 'VirtualService') return;
  const found = upstreamTls(context, arrival);
  // Settings that do nothing are a finding of their own (SP1038).
  if (found && !found.holds) return;
  for (const host of ledHosts(arrival)) {
    const serving = serversOf(context, gateways, arrival, host);
    if (serving.length === 0) continue;
    if (serving.some(({ server }) => server.tls?.mode === 'AUTO_PASSTHROUGH')) {
      if (!found) reportAutomatic(context, arrival, host, serving);
    } else if (!found) reportNone(context, arrival, host, serving);
    else if (serving.every(isPlainHttp)) reportToPlain(context, arrival, found, host, serving);
    else if (serving.every(passesOn)) reportPassedOn(context, arrival, found, serving);
    else reportServerName(context, arrival, found, host, serving);
  }
}

/** The hosts that the rule leads to the gateway. */
function ledHosts({ resource, path, bytes }: Arrival): string[] {
  const { spec, metadata } = resource as VirtualService;
  const rules: readonly AnyRule[] = spec[bytes];
  const names = rules[Number(path[2])]!.match.flatMap(({ sniHosts = [] }) => sniHosts).map((name) => name.toLowerCase());
  return spec.hosts
    .map((written) => fullHostname(written, metadata.namespace).toLowerCase())
    .filter((host) => names.length === 0 || names.some((name) => hostsOverlap(name, host)));
}

function serversOf(context: Context, gateways: readonly Gateway[], { service, port }: Arrival, host: string): Serving[] {
  const reached = portsBehind(context, { host: service.hostname, port: port.number });
  return context.gatewayServers
    .overlapping(host)
    .filter(({ gateway }) => gateways.includes(gateway))
    .map(({ gateway, index }) => ({ gateway, server: gateway.spec.servers[index]! }))
    .filter(({ server }) => reached(server.port.number));
}

function isPlainHttp({ server }: Serving): boolean {
  return isHttp(parseProtocol(server.port.protocol));
}

/** Whether what comes in goes out as it is, whatever TLS is around it. */
function passesOn({ server: { port, tls } }: Serving): boolean {
  return tls ? tls.mode === 'PASSTHROUGH' : parseProtocol(port.protocol) === 'TCP';
}

function namesOf(serving: readonly Serving[]): string {
  return [...new Set(serving.map(({ gateway: { metadata } }) => `${metadata.namespace}/${metadata.name}`))].sort().join(', ');
}

/** A server that knows what comes by names which sidecars alone write. */
function reportAutomatic(context: Context, { port, resource, path }: Arrival, host: string, serving: readonly Serving[]): void {
  if (!serving.every(({ server }) => server.tls?.mode === 'AUTO_PASSTHROUGH')) return;
  context.report(
    'SP1017',
    resource,
    [...path, 'host'],
    `Sidecars send ${host} as it is to port ${port.number} of the gateway, where ${namesOf(serving)} (AUTO_PASSTHROUGH) takes mutual TLS between sidecars alone, by a server name that stands for a cluster (outbound_.443_._.name): connections are closed. For hosts outside the mesh write tls: {mode: PASSTHROUGH} at the server, and a tls rule for it there.`,
  );
}

/** TLS of the application's own at a server that wants the mesh's; plain HTTP there is SP1037. */
function reportNone(context: Context, { bytes, port, resource, path, service }: Arrival, host: string, serving: readonly Serving[]): void {
  if (bytes === 'http' || !serving.every(({ server }) => server.tls?.mode === 'ISTIO_MUTUAL')) return;
  context.report(
    'SP1017',
    resource,
    [...path, 'host'],
    `Sidecars send ${host} as it is to port ${port.number} of the gateway, where ${namesOf(serving)} takes mutual TLS of the mesh alone, which no application speaks: connections are closed. Let sidecars put it into mutual TLS (a DestinationRule for ${service.hostname} with tls: {mode: ISTIO_MUTUAL, sni: ${host}}), or make the server one that passes TLS on (tls: {mode: PASSTHROUGH}), with a tls rule.`,
  );
}

function reportToPlain(
  context: Context,
  arrival: Arrival,
  { rule, tls, path }: UpstreamTls,
  host: string,
  serving: readonly Serving[],
): void {
  context.report(
    'SP1017',
    rule,
    path,
    `Sidecars originate TLS (${tls.mode}) for ${host} to port ${arrival.port.number} of the gateway, where ${namesOf(serving)} takes plain HTTP alone: the handshake fails, and calls are answered 503. Give the server protocol: HTTPS with tls: {mode: ${tls.mode === 'ISTIO_MUTUAL' ? 'ISTIO_MUTUAL' : tls.mode}}, or take the TLS settings out for this port.`,
  );
}

function reportPassedOn(context: Context, arrival: Arrival, { rule, tls, path }: UpstreamTls, serving: readonly Serving[]): void {
  const to = `port ${arrival.port.number} of the gateway, where ${namesOf(serving)} passes on what comes as it is`;
  if (arrival.bytes === 'tls')
    context.report(
      'SP1035',
      rule,
      path,
      `Sidecars put TLS that is closed already into TLS of their own (${tls.mode}) and send it to ${to}: the server outside finds TLS inside TLS, and the handshake fails. Let the gateway end the outer TLS (protocol: TLS, tls: {mode: ISTIO_MUTUAL}, and a tcp rule there in place of the tls rule), or take the TLS settings out for this port.`,
    );
  else if (tls.mode === 'ISTIO_MUTUAL')
    context.report(
      'SP1014',
      rule,
      path,
      `Sidecars speak mutual TLS of the mesh to ${to}: the server outside gets it, cannot verify the mesh's certificates and has none that sidecars accept, so handshakes fail (503). Let the gateway end it (tls: {mode: ISTIO_MUTUAL} at the server), or take the TLS settings out for this port.`,
    );
}

/** Of HTTP the host is sent as the server name where none is written, but in ISTIO_MUTUAL. */
function serverNameOf({ bytes, port, subset, service }: Arrival, { tls }: UpstreamTls, host: string): string {
  if (tls.sni) return tls.sni.toLowerCase();
  if (tls.mode === 'ISTIO_MUTUAL') return `outbound_.${port.number}_.${subset}_.${service.hostname}`;
  return bytes === 'http' ? host : '';
}

function reportServerName(context: Context, arrival: Arrival, found: UpstreamTls, host: string, serving: readonly Serving[]): void {
  const name = serverNameOf(arrival, found, host);
  const taken = serving.some(({ server }) => server.hosts.some((written) => hostCovers(bareHost(written), name)));
  if (taken) return;
  const { rule, tls, path } = found;
  const said = tls.sni ? `the server name ${name}` : name === '' ? 'no server name' : `the server name ${name}, as none is written`;
  context.report(
    'SP1017',
    rule,
    path,
    `Sidecars send ${host} to port ${arrival.port.number} of the gateway in TLS (${tls.mode}) with ${said}, and the server of ${namesOf(serving)} that has ${host} takes it by its own name alone: calls are ${arrival.bytes === 'http' ? 'answered 503 or 404' : 'closed or led astray'}. Write sni: ${host} here (with several hosts in a subset for each, to which its rule leads).`,
  );
}
