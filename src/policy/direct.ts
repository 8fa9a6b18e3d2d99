/** What allows a host: the ServiceEntry, the VirtualService where calls are told apart, and the DestinationRule where TLS is originated. Pure. */
import { BIND } from '../api/bind.ts';
import { CREDENTIALS, INTERCEPT } from '../api/inject-credentials.ts';
import { PRIVATE_ADDRESSES } from '../api/private-addresses.ts';
import type { Resource } from '../api/resource.ts';
import { THROUGH } from '../api/through.ts';
import { isShortName } from '../lib/hostname.ts';
import { isIp } from '../lib/ip.ts';
import { REFUSED } from '../lib/refused-host.ts';
import type { HostPlan, Made, PortPlan, SecretCertificate } from './plan.ts';
import { byCaller, isRestricted, type MadeRoute, narrowed, refusal, whyRefused } from './routes.ts';

/**
 * What leads to the host with the certificate that the gateway shows. No label: no route that somebody writes can name it, and be made with the certificate by
 * callers that the policy is not for.
 */
export const SHOWN_SUBSET = 'client_certificate';

/** Where calls to a port that a rule allows lead to, from the sidecar; undefined: to the host itself. */
export type DestinationOf = (port: PortPlan) => object | undefined;

/** @param destinationOf by default all lead to the host */
export function directObjects(plan: HostPlan, destinationOf: DestinationOf = () => undefined): Made[] {
  if (isShortName(plan.host)) return shortNameObjects(plan);
  return [serviceEntry(plan), ...virtualService(plan, destinationOf), ...destinationRule(plan)];
}

/** A VirtualService that holds anybody off, or TLS that is originated, would be for a Service of that name: ports that need one are not declared. */
function shortNameObjects(plan: HostPlan): Made[] {
  const ports = plan.ports.filter((port) => !isRestricted(port, plan) && port.originate === undefined);
  return ports.length > 0 ? [serviceEntry({ ...plan, ports })] : [];
}

/** The host by which the resources have it: an address gets a name. */
export function declaredName({ host, name }: HostPlan): string {
  return isIp(host) ? `${name.replaceAll('.', '-')}.internal` : host;
}

/** Names that say themselves where they lead (RFC 6761 §6.3). */
export const LOOPBACK_NAME = /^(?:.*\.)?localhost$/;
const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1'];

function serviceEntry(plan: HostPlan): Made {
  const { host, ports, address, exportTo, reason, owner, bind, proxy, credentials = [] } = plan;
  const { within = LOOPBACK_NAME.test(host) ? LOOPBACK : [] } = plan;
  const intercepted = ports.filter(({ intercept }) => intercept);
  const isAddress = isIp(host);
  const isWildcard = host.startsWith('*');
  const needsAddress = !isAddress && (isWildcard || ports.some(({ protocol }) => protocol === 'TCP'));
  const annotations = {
    ...(reason !== undefined && { 'sallyport.dev/why': reason }),
    ...(owner !== undefined && { 'sallyport.dev/owner': owner }),
    ...(bind !== undefined && { [BIND]: bind }),
    ...(proxy !== undefined && { [THROUGH]: proxy }),
    ...(within.length > 0 && { [PRIVATE_ADDRESSES]: within.join(',') }),
    ...(credentials.length > 0 && { [CREDENTIALS]: JSON.stringify(credentials) }),
    ...(intercepted.length > 0 && { [INTERCEPT]: intercepted.map(({ port }) => port).join(',') }),
  };
  const spec = {
    hosts: [declaredName(plan)],
    ...(isAddress && { addresses: [host], endpoints: [{ address: host }] }),
    ...(needsAddress && { addresses: [address] }),
    location: 'MESH_EXTERNAL',
    resolution: isAddress ? 'STATIC' : isWildcard ? 'DYNAMIC_DNS' : 'DNS',
    ports: ports.map(({ port, protocol, originate }) => ({
      number: port,
      name: `${protocol.toLowerCase()}-${port}`,
      protocol,
      ...(originate !== undefined && { targetPort: originate }),
    })),
    ...(exportTo && { exportTo }),
  };
  return { kind: 'ServiceEntry', name: plan.name, namespace: plan.namespace, spec, annotations };
}

function virtualService(plan: HostPlan, destinationOf: DestinationOf): Made[] {
  const http = httpRules(plan, destinationOf);
  const tls = plan.ports.filter(({ protocol }) => protocol === 'TLS').flatMap((port) => tlsRules(plan, port, destinationOf));
  const tcp = plan.ports.filter(({ protocol }) => protocol === 'TCP').flatMap((port) => tcpRules(plan, port, destinationOf));
  if (http.length + tls.length + tcp.length === 0) return [];
  const spec = {
    hosts: [declaredName(plan)],
    ...(http.length > 0 && { http: http.map(({ rule }) => rule) }),
    ...(tls.length > 0 && { tls }),
    ...(tcp.length > 0 && { tcp }),
    ...(plan.exportTo && { exportTo: plan.exportTo }),
  };
  return [{ kind: 'VirtualService', name: plan.name, namespace: plan.namespace, spec, ruleOrigins: http.map(({ origin }) => origin) }];
}

/** For all ports or none: a port that no rule matches would be refused without a word. */
function httpRules(plan: HostPlan, destinationOf: DestinationOf): MadeRoute[] {
  const plain = plan.ports.filter(({ protocol }) => protocol === 'HTTP');
  if (plain.every((port) => !isRestricted(port, plan) && destinationOf(port) === undefined)) return [];
  return plain.flatMap((port) => {
    const onPort = { port: port.port };
    const route = to(plan, port, destinationOf);
    if (!isRestricted(port, plan)) return [{ rule: { match: [onPort], route }, origin: originOfPort(port) }];
    const rules = [...Map.groupBy(port.rules, ({ origin }) => origin)].map(([origin, same]): MadeRoute => {
      const match = same.flatMap((rule) => {
        const matches = byCaller(onPort, rule);
        // What a gateway holds to is not for the sidecar to say: the application has a hand in that.
        return rule.only && port.through === 'direct' ? narrowed(matches, rule.only) : matches;
      });
      return { rule: { name: 'allowed', match, route }, origin };
    });
    const last = {
      name: port.ended === undefined ? 'not-allowed' : 'ended',
      match: [onPort],
      directResponse: refusal(whyRefused(plan, port)),
    };
    return [...rules, { rule: last, origin: originOfPort(port) }];
  });
}

function originOfPort({ rules }: PortPlan): Resource | undefined {
  return rules.find(({ origin }) => origin)?.origin;
}

/** At the address of a host TLS for any name would be passed on to it: only its own is, so that nobody else behind the same servers is asked for (fronting). */
function tlsRules(plan: HostPlan, port: PortPlan, destinationOf: DestinationOf): object[] {
  const match = { port: port.port, sniHosts: [plan.host] };
  if (isRestricted(port, plan)) return guarded(plan, port, match, destinationOf);
  return [{ match: [match], route: to(plan, port, destinationOf) }];
}

function tcpRules(plan: HostPlan, port: PortPlan, destinationOf: DestinationOf): object[] {
  const match = { port: port.port };
  if (isRestricted(port, plan)) return guarded(plan, port, match, destinationOf);
  return destinationOf(port) === undefined ? [] : [{ match: [match], route: to(plan, port, destinationOf) }];
}

/** Without the last rule a sidecar that no other matches would lead the call to the host after all. */
function guarded(plan: HostPlan, port: PortPlan, match: object, destinationOf: DestinationOf): object[] {
  const nowhere = { host: port.ended === undefined ? REFUSED.notAllowed : REFUSED.ended, port: { number: 1 } };
  const allowed = port.rules.flatMap((rule) => byCaller(match, rule));
  return [
    ...(allowed.length > 0 ? [{ match: allowed, route: to(plan, port, destinationOf) }] : []),
    { match: [match], route: [{ destination: nowhere }] },
  ];
}

function to(plan: HostPlan, port: PortPlan, destinationOf: DestinationOf): object[] {
  return [{ destination: destinationOf(port) ?? { host: declaredName(plan), port: { number: port.port } } }];
}

function destinationRule({ host, name, namespace, ports, exportTo }: HostPlan): Made[] {
  const originating = ports.filter(({ originate }) => originate !== undefined);
  if (originating.length === 0) return [];
  // Without subjectAltNames beside sni any name that a known CA has signed would do.
  const tls = { mode: 'SIMPLE', sni: host, subjectAltNames: [host] };
  const portLevelSettings = originating.map(({ port, ca, certificate }) => ({
    port: { number: port },
    tls: {
      ...tls,
      ...(certificate && 'chain' in certificate && { mode: 'MUTUAL', clientCertificate: certificate.chain, privateKey: certificate.key }),
      ...(ca !== undefined && { caCertificates: ca }),
    },
  }));
  const showing = originating.flatMap(({ port, certificate }) =>
    certificate && 'secret' in certificate ? [{ port: { number: port }, tls: { ...tls, ...shown(certificate) } }] : [],
  );
  const subsets = showing.length > 0 ? [{ name: SHOWN_SUBSET, trafficPolicy: { portLevelSettings: showing } }] : [];
  const spec = { host, trafficPolicy: { portLevelSettings }, ...(subsets.length > 0 && { subsets }), ...(exportTo && { exportTo }) };
  return [{ kind: 'DestinationRule', name, namespace, spec }];
}

/** Of a Secret nothing but the certificate and its key: what is in it beside them verifies no server. */
function shown({ secret }: SecretCertificate): object {
  return { mode: 'MUTUAL', credentialName: `kubernetes-gateway://${secret}`, caCertificates: 'system' };
}
