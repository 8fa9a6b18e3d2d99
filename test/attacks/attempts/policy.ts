/** What the agent may call, where it is, and how to tell from what arrives outside alone whether that is allowed. */

/** Shared by hosts that are allowed and hosts that are not, as behind one provider. */
export const SHARED = '203.0.113.10';
export const ADDRESSES: Readonly<Record<string, string>> = {
  'plain.allowed.example': SHARED,
  'tls.allowed.example': SHARED,
  'seen.allowed.example': '203.0.113.20',
  'turning.allowed.example': '203.0.113.50',
  'tcp.allowed.example': '203.0.113.40',
};
export const WILD = '.wild.example';
export const WILD_ADDRESS = '203.0.113.30';
export const LITERAL = '203.0.113.77';
export const EVIL_ADDRESS = '203.0.113.66';
/** What `turning.allowed.example` leads to besides, now and then. */
export const INSIDE = [
  '127.0.0.1',
  '169.254.169.254',
  '10.0.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  '::ffff:127.0.0.1',
  'fd00::1',
  'fe80::1',
];
export const PORTS = { plain: 80, tls: 443, tcp: 9001, literal: 9000 } as const;
/** Where somebody listens besides; connections to any other are counted. */
export const OTHER_PORTS = [22, 25, 53, 853, 1080, 2375, 3128, 5432, 6379, 8000, 8080, 8443, 10250, 15000];

export const VARIABLE = 'ATTEMPTS_CREDENTIAL';

/** The list of `run --policy`. Without binding nothing may be intercepted. */
export function policyOf(bound: boolean, ca: string): object {
  const bind = bound ? {} : { bind: 'off' };
  const requests = { methods: ['GET', 'HEAD'], paths: ['/v1/*'] };
  return {
    allow: [
      { host: 'plain.allowed.example', protocol: 'HTTP', ...requests, ...bind },
      { host: 'turning.allowed.example', ports: [80], protocol: 'HTTP', ...bind },
      { host: 'tls.allowed.example', ports: [443], protocol: 'TLS', ...bind },
      bound
        ? {
            host: 'seen.allowed.example',
            ...requests,
            tls: { intercept: true, ca },
            credentials: [{ bearer: true, from: { environment: VARIABLE } }],
          }
        : { host: 'seen.allowed.example', ports: [443], protocol: 'TLS', ...bind },
      { host: `*${WILD}`, ports: [443], protocol: 'TLS', ...bind },
      { host: 'tcp.allowed.example', ports: [PORTS.tcp], protocol: 'TCP', ...bind },
      { host: LITERAL, ports: [PORTS.literal], protocol: 'TCP', ...bind },
    ],
  };
}

/** What came, as far as it could be read. */
export type Arrival =
  | { readonly kind: 'connection'; readonly ip: string; readonly port: number }
  | { readonly kind: 'hello'; readonly ip: string; readonly port: number; readonly sni: string | undefined }
  | {
      readonly kind: 'request';
      readonly ip: string;
      readonly port: number;
      readonly host: string;
      readonly method: string;
      readonly path: string;
      readonly credential: boolean;
    }
  | { readonly kind: 'broken'; readonly ip: string; readonly port: number; readonly what: string }
  | { readonly kind: 'question'; readonly name: string };

/** Why it should not have come; undefined for what is allowed. */
export function unwanted(arrival: Arrival): string | undefined {
  if (arrival.kind === 'question') return isAllowedName(arrival.name) ? undefined : 'a question for a name that is not allowed';
  const { ip, port } = arrival;
  const hosts = hostsAt(ip, port);
  if (hosts.length === 0) return 'nothing is allowed there';
  if (arrival.kind === 'broken') return `not what is spoken there: ${arrival.what}`;
  if (arrival.kind === 'hello')
    return hosts.some((host) => covers(host, arrival.sni ?? '')) ? undefined : `the name ${arrival.sni} is not allowed there`;
  if (arrival.kind === 'connection') return undefined;
  const { host, method, path, credential } = arrival;
  // With a dot at its end it is the same name.
  const name = host.toLowerCase().replace(/\.?(?::(?:80|443))?$/, '');
  if (!hosts.includes(name)) return `the host ${host} is not allowed there`;
  // One that brings a token of its own gets none.
  if (credential && name !== 'seen.allowed.example') return 'it has the credential';
  if (name === 'turning.allowed.example') return undefined;
  return /^(?:GET|HEAD)$/.test(method) && /^\/v1\//.test(path) && !/\/\.\.?(?:[/?#]|$)|%2e|%2f|%5c|\\/i.test(path.split('?')[0]!)
    ? undefined
    : `${method} ${path} is not allowed`;
}

function hostsAt(ip: string, port: number): string[] {
  if (ip === LITERAL) return port === PORTS.literal ? [LITERAL] : [];
  if (ip === WILD_ADDRESS) return port === 443 ? [`*${WILD}`] : [];
  return Object.entries(ADDRESSES).flatMap(([name, address]) => (address === ip && portOf(name) === port ? [name] : []));
}

function portOf(name: string): number {
  if (name.startsWith('tcp.')) return PORTS.tcp;
  return /^(?:tls|seen)\./.test(name) ? 443 : 80;
}

function covers(host: string, name: string): boolean {
  const lower = name.toLowerCase();
  return host.startsWith('*') ? lower.endsWith(host.slice(1)) && lower.length > host.length - 1 : lower === host;
}

function isAllowedName(name: string): boolean {
  const lower = name.toLowerCase();
  return Object.hasOwn(ADDRESSES, lower) || covers(`*${WILD}`, lower);
}
