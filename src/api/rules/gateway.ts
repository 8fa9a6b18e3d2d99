import { isIp } from '../../lib/ip.ts';
import type { Gateway, Server, ServerTlsSettings } from '../gateway.ts';
import type { Rules } from '../kind.ts';
import {
  isDnsLabel,
  isHttpProtocol,
  isTlsProtocol,
  namespacedHostProblem,
  type Path,
  portProblem,
  protocolProblem,
  type Report,
  unixPathProblem,
} from './checks.ts';

const UNIX = 'unix://';

export const gatewayRules: Rules<Gateway> = ({ spec, metadata }, report) => {
  if (!isDnsLabel(metadata.name))
    report({ path: ['metadata', 'name'], message: `"${metadata.name}" is no name of a Gateway: it must be one label of a DNS name` });
  if (spec.servers.length === 0) report({ path: ['spec', 'servers'], message: 'needs at least one server' });
  const names = new Set<string>();
  spec.servers.forEach((server, index) => {
    const path = ['spec', 'servers', index];
    serverOf(server, path, report);
    if (names.has(server.port.name))
      report({ path: [...path, 'port', 'name'], message: `"${server.port.name}" names another server's port already: names must differ` });
    names.add(server.port.name);
  });
};

function serverOf(server: Server, path: Path, report: Report): void {
  const { port, bind = '', tls, hosts } = server;
  if (hosts.length === 0) report({ path: [...path, 'hosts'], message: 'needs at least one host' });
  hosts.forEach((host, index) => {
    const message = namespacedHostProblem(host, 'gateway');
    if (message) report({ path: [...path, 'hosts', index], message });
  });
  portOf(port, bind, [...path, 'port'], report);
  if (bind.startsWith(UNIX)) {
    const message = unixPathProblem(bind.slice(UNIX.length));
    if (message) report({ path: [...path, 'bind'], message });
    if (port.number !== 0) report({ path: [...path, 'port', 'number'], message: 'must be 0 with a unix address' });
  } else if (bind && !isIp(bind)) report({ path: [...path, 'bind'], message: `"${bind}" is neither an IP address nor a unix address` });
  if (tls) tlsOf(tls, [...path, 'tls'], report);

  const http = isHttpProtocol(port.protocol);
  if (!http && tls?.httpsRedirect)
    report({ path: [...path, 'tls', 'httpsRedirect'], level: 'Warning', message: 'has an effect on HTTP ports only' });
  if (isTlsProtocol(port.protocol)) {
    if (!tls)
      report({
        path,
        message: `an ${port.protocol} port needs tls: mode PASSTHROUGH to forward TLS as it is, SIMPLE with a credentialName to terminate it`,
      });
  } else if (tls) {
    // PASSTHROUGH is the mode of settings that say none, as those of a redirect do.
    const redirectOnly = tls.mode === 'PASSTHROUGH' && !tls.caCertificates && !tls.privateKey && !tls.serverCertificate;
    if (!http)
      report({ path: [...path, 'tls'], at: 'key', message: `a ${port.protocol} port takes no tls: use the protocol TLS or HTTPS` });
    else if (!redirectOnly)
      report({
        path: [...path, 'tls'],
        at: 'key',
        message: `a ${port.protocol} port takes no tls but httpsRedirect: use the protocol HTTPS`,
      });
  }
}

function portOf(port: Server['port'], bind: string, path: Path, report: Report): void {
  const protocol = protocolProblem(port.protocol);
  if (protocol) report({ path: [...path, 'protocol'], message: protocol });
  const number = port.number > 0 || !bind.startsWith(UNIX) ? portProblem(port.number) : undefined;
  if (number) report({ path: [...path, 'number'], message: number });
  if (port.targetPort) report({ path: [...path, 'targetPort'], at: 'key', message: 'has no effect on Gateways: remove it' });
  if (port.name === '') report({ path: [...path, 'name'], message: 'must not be empty' });
}

/** OpenSSL's names of the suites that Envoy can offer up to TLS 1.2; those of 1.3 are fixed. */
const CIPHER_SUITES: ReadonlySet<string> = new Set([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'ECDHE-PSK-AES128-CBC-SHA',
  'ECDHE-PSK-AES256-CBC-SHA',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
  'PSK-AES128-CBC-SHA',
  'PSK-AES256-CBC-SHA',
  'DES-CBC3-SHA',
]);

/** TLS settings of a server of a Gateway or of an ingress listener of a Sidecar. */
export function tlsOf(tls: ServerTlsSettings, path: Path, report: Report): void {
  const at = (field: string) => [...path, field];
  const old = tls.minProtocolVersion === 'TLSV1_0' || tls.minProtocolVersion === 'TLSV1_1';
  if (old && tls.cipherSuites.length === 0) {
    report({
      path: at('minProtocolVersion'),
      level: 'Warning',
      message: 'needs cipherSuites that TLS before 1.2 knows: the default ones are later',
    });
  }
  const seen = new Set<string>();
  tls.cipherSuites.forEach((suite, index) => {
    if (!CIPHER_SUITES.has(suite))
      report({
        path: [...path, 'cipherSuites', index],
        level: 'Warning',
        message: `"${suite}" is no cipher suite that proxies know; it is ignored`,
      });
    else if (seen.has(suite)) report({ path: [...path, 'cipherSuites', index], level: 'Warning', message: `"${suite}" stands twice` });
    seen.add(suite);
  });
  if (tls.mode !== 'ISTIO_MUTUAL') oneCredential(tls, path, report);

  const files = ['serverCertificate', 'privateKey', 'caCertificates'] as const;
  if (tls.mode === 'ISTIO_MUTUAL') {
    for (const field of [...files, 'credentialName', 'credentialNames', 'tlsCertificates'] as const) {
      if (tls[field]?.length)
        report({ path: at(field), at: 'key', message: 'must not stand beside ISTIO_MUTUAL, which uses the mesh’s certificates' });
    }
    return;
  }
  if (tls.mode === 'PASSTHROUGH' || tls.mode === 'AUTO_PASSTHROUGH') {
    if (tls.caCrl && tls.credentialName)
      report({ path: at('caCrl'), at: 'key', message: 'must not stand beside credentialName: the Secret holds the revocation list' });
    for (const field of [...files, 'credentialName', 'credentialNames', 'tlsCertificates', 'caCrl'] as const) {
      if (tls[field]?.length)
        report({
          path: at(field),
          at: 'key',
          level: 'Warning',
          message: `has no effect with mode ${tls.mode}, which does not terminate TLS`,
        });
    }
    return;
  }
  if (tls.credentialName || tls.credentialNames.length > 0) {
    if (tls.caCrl)
      report({
        path: at('caCrl'),
        at: 'key',
        level: 'Warning',
        message: 'has no effect beside credentialName: put the revocation list into the Secret, under ca.crl',
      });
    return;
  }
  if (tls.tlsCertificates.length > 0) {
    tls.tlsCertificates.forEach((certificate, index) => {
      for (const field of ['serverCertificate', 'privateKey'] as const) {
        if (!certificate[field]) report({ path: [...path, 'tlsCertificates', index], message: `needs ${field}` });
      }
    });
  } else {
    for (const field of ['serverCertificate', 'privateKey'] as const) {
      if (!tls[field])
        report({ path, message: `mode ${tls.mode} needs a credentialName, or serverCertificate and privateKey; ${field} is missing` });
    }
  }
  if (tls.mode !== 'SIMPLE' && !tls.caCertificates && !tls.caCertCredentialName)
    report({ path, message: `mode ${tls.mode} needs caCertificates to verify clients by` });
  if (tls.mode === 'SIMPLE' && tls.caCrl)
    report({ path: at('caCrl'), at: 'key', message: 'has no effect with mode SIMPLE, which asks clients for no certificate' });
}

function oneCredential(tls: ServerTlsSettings, path: Path, report: Report): void {
  const set = (['credentialName', 'credentialNames', 'tlsCertificates'] as const).filter((field) => (tls[field]?.length ?? 0) > 0);
  const all = [...(tls.serverCertificate && tls.privateKey ? (['serverCertificate'] as const) : []), ...set];
  if (all.length > 1)
    report({
      path: [...path, all[1]!],
      at: 'key',
      message: `must not stand beside ${all[0]}: a server has its certificate from one place`,
    });
}
