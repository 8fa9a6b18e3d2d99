import type { ClientTlsSettings, ResourceOf } from '../../api/index.ts';
import { originOf, type Resource } from '../../api/resource.ts';
import { fullHostname, hostsOverlap, isShortName } from '../../lib/hostname.ts';
import { originText } from '../../lib/origin.ts';
import { isTls } from '../../registry/protocol.ts';
import { type Arrival, arrivalsOf, type UpstreamTls, upstreamTls } from '../arrivals.ts';
import type { Context } from '../context.ts';
import { hostSent } from './gateway-handover.ts';
import { asksForTls } from './gateway-routes.ts';
import { gatewayTlsFits } from './handover-tls.ts';
import { tlsAtPlainPort } from './tls-to-plain.ts';
import { tunnelOfRequests } from './tunnels.ts';

/** By the numbers alone: what a server there speaks unless somebody says otherwise. */
const PLAIN_PORT = 80;
const TLS_PORT = 443;

/** SP1035–SP1038: what a call has in hand, held against the TLS that is originated for it and the port that it comes to; SP1013: TLS that takes a certificate for any name; SP1010: tunnels for requests; SP1062: TLS by the called name; SP1066: TLS at a port of plain HTTP. */
export function* upstreamTlsFits(context: Context): Generator<void> {
  const arrivals = yield* arrivalsOf(context);
  for (const arrival of arrivals) {
    tunnelOfRequests(context, arrival);
    tlsAtPlainPort(context, arrival);
    if (!arrival.service.meshExternal) {
      gatewayTlsFits(context, arrival);
      continue;
    }
    const found = upstreamTls(context, arrival);
    if (found && !isOwnTls(found.tls)) continue;
    if (found && !found.holds) {
      // Bytes that are TLS already need none.
      if (arrival.bytes !== 'tls') reportCredential(context, arrival, found);
    } else if (found && arrival.bytes === 'tls') reportTlsInside(context, arrival, found, arrivals);
    else if (found) {
      reportTlsToPlain(context, arrival, found);
      reportAnyName(context, arrival, found);
      reportCalledName(context, arrival, found);
      reportBothNames(context, arrival, found);
    } else if (arrival.bytes === 'http') reportPlain(context, arrival);
  }
}

/** ISTIO_MUTUAL to a server outside is another finding (SP1014). */
function isOwnTls({ mode }: ClientTlsSettings): boolean {
  return mode === 'SIMPLE' || mode === 'MUTUAL';
}

function nameOf({ service, port }: Arrival): string {
  return `${service.hostname} port ${port.number}`;
}

function reportCredential(context: Context, arrival: Arrival, { rule, tls, path }: UpstreamTls): void {
  context.report(
    'SP1038',
    rule,
    [...path, 'credentialName'],
    `Sidecars take a secret by name from DestinationRules with a workloadSelector alone: for calls that leave them for ${nameOf(arrival)} these TLS settings (${tls.mode}) do nothing: such calls have no TLS, and the server refuses them (400), or the sidecar does (503 UH). Add a workloadSelector (and let the workloads' service account read the secret), lead the calls to an egress gateway, or name files in the sidecar in place of credentialName.`,
  );
}

function reportTlsInside(context: Context, arrival: Arrival, { rule, tls, path }: UpstreamTls, all: readonly Arrival[]): void {
  const direct = arrival.resource === arrival.service.resource;
  // An application's own TLS to a port that is declared for a gateway's use: the ways that are meant go right.
  if (direct && all.some((other) => other.resource !== arrival.resource && other.port === arrival.port)) return;
  const from = direct
    ? `Port ${arrival.port.number} is declared ${arrival.port.protocol}, so what comes to it is the application's own TLS`
    : `${originText(originOf(arrival.resource))} (${arrival.path.slice(0, 3).join('.')}) leads TLS there that passes as it is`;
  context.report(
    'SP1035',
    rule,
    path,
    `TLS (${tls.mode}) is originated to ${nameOf(arrival)}. ${from}: that TLS is wrapped once more, and the server can't read it (the handshake fails). Put these settings into a subset, or on a port, that only http rules use, or route plain HTTP here in place of TLS.`,
  );
}

/** Ports of the endpoints, in so far as they are known. */
function targetPorts(context: Context, { service, port }: Arrival): readonly number[] {
  const known = [...new Set(context.registry.endpoints(service, port).map((endpoint) => endpoint.port))];
  return known.length > 0 ? known : [port.targetPort];
}

function reportTlsToPlain(context: Context, arrival: Arrival, { rule, tls, path }: UpstreamTls): void {
  if (!targetPorts(context, arrival).every((number) => number === PLAIN_PORT)) return;
  context.report(
    'SP1036',
    rule,
    path,
    `TLS (${tls.mode}) is originated to ${nameOf(arrival)}, which connects to port ${PLAIN_PORT} of the server, where servers speak plain HTTP: the handshake fails (503 UF, WRONG_VERSION_NUMBER). Write targetPort: ${TLS_PORT} at the port of ${originText(originOf(arrival.service.resource))}, or take the TLS settings out.`,
  );
}

/** A certificate is held against the host of requests where a rule has no server name and no subjectAltNames, and else against these alone. */
function reportAnyName(context: Context, { service, bytes }: Arrival, { rule, tls, path }: UpstreamTls): void {
  const { sni, subjectAltNames, insecureSkipVerify } = tls;
  if (subjectAltNames.length > 0 || service.subjectAltNames.length > 0 || service.resolution === 'DynamicDNS' || insecureSkipVerify) return;
  if (!sni && bytes === 'http') return;
  const why = sni ? 'beside sni a name is verified only where subjectAltNames has one' : 'of bytes that are no HTTP nobody knows the host';
  context.report(
    'SP1013',
    rule,
    [...path, sni ? 'sni' : 'mode'],
    `The certificate of ${service.hostname} may be for any name: ${why}. Anyone on the way who has a certificate from the same CAs can answer in its place. Add subjectAltNames: [${sni ?? service.hostname}]${sni ? '' : `, and sni: ${service.hostname}`}.`,
  );
}

/** Where a rule has no server name and no names of its own, those of the ServiceEntry are asked for beside the name that was called. */
function reportBothNames(context: Context, { service, bytes }: Arrival, { rule, tls, path }: UpstreamTls): void {
  const { hostname, subjectAltNames } = service;
  if (bytes !== 'http' || tls.sni || tls.subjectAltNames.length > 0 || tls.insecureSkipVerify || hostname.startsWith('*')) return;
  if (subjectAltNames.length === 0 || subjectAltNames.some((name) => name.toLowerCase() === hostname)) return;
  const names = subjectAltNames.join(' or ');
  context.report(
    'SP1062',
    rule,
    path,
    `TLS is for the name that was called, and certificates need it (${hostname}) as well as ${names}, which ${originText(originOf(service.resource))} asks for (subjectAltNames): one that has not both is not taken (503 UF, CERTIFICATE_VERIFY_FAILED). If the server is known as ${names}, write sni and subjectAltNames here; if as ${hostname}, take them out there.`,
  );
}

/** Without names of the rule's own TLS is for the host of the request, which a rule for another host leaves as it is. */
function reportCalledName(context: Context, { service, bytes, resource, path }: Arrival, { tls }: UpstreamTls): void {
  if (bytes !== 'http' || tls.sni || tls.subjectAltNames.length > 0 || tls.insecureSkipVerify || !isVirtualService(resource)) return;
  const rule = resource.spec.http[path[2] as number];
  if (!rule || path[3] !== 'route' || hostSent(rule, path[4] as number)) return;
  const hosts = resource.spec.hosts.map((host) => fullHostname(host, resource.metadata.namespace).toLowerCase());
  if (hosts.some((host) => hostsOverlap(host, service.hostname))) return;
  const called = hosts.join(' or ');
  context.report(
    'SP1062',
    resource,
    path,
    `Requests for ${called} go to ${service.hostname} as such, in TLS for ${called}: a server whose certificate does not name it is not taken (503 UF, CERTIFICATE_VERIFY_FAILED). If the server is known as ${service.hostname}, write rewrite: {authority: ${service.hostname}} in this rule.`,
  );
}

function isVirtualService(resource: Resource): resource is ResourceOf<'VirtualService'> {
  return resource.kind === 'VirtualService';
}

function reportPlain(context: Context, arrival: Arrival): void {
  const { service, port, resource, path } = arrival;
  // A rule that a gateway does not see is a finding of its own (SP1031).
  if (arrival.by === 'gateway' && context.destinationRules.covering(service.hostname).some(asksForTls)) return;
  const mend = isShortName(service.hostname)
    ? `No DestinationRule can name a host without a dot: give ${service.hostname} one with a dot, and originate TLS with a DestinationRule for it`
    : `Originate TLS with a DestinationRule for ${service.hostname} that ${arrival.by === 'gateway' ? 'the gateway' : 'the workloads'} in ${arrival.caller.namespace} ${arrival.by === 'gateway' ? 'sees' : 'see'} (trafficPolicy.portLevelSettings: [{port: {number: ${port.number}}, tls: {mode: SIMPLE, sni: ${service.hostname}, subjectAltNames: [${service.hostname}]}}])`;
  if (isTls(port.protocol)) {
    context.report(
      'SP1037',
      resource,
      path,
      `This leads requests in plain HTTP to ${nameOf(arrival)}, which is declared ${port.protocol}: the server takes TLS alone and refuses them (400, or a connection that is closed). ${mend}, or lead to a port of plain HTTP, and take this one out of the declaration if nothing else leads to it.`,
    );
    return;
  }
  const ports = targetPorts(context, arrival);
  if (!ports.every((number) => number === TLS_PORT)) return;
  context.report(
    'SP1036',
    resource,
    path,
    `Calls to ${nameOf(arrival)} go to port ${TLS_PORT} of the server in plain ${port.protocol}, and servers take TLS alone there: they are refused (400, or a connection that is closed). ${mend}.`,
  );
}
