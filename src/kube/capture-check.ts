/** Sees whether this pod's traffic is captured, without any right: by calls that have to arrive where the proxy will listen. */
import { createSocket } from 'node:dgram';
import { connect, createServer, isIP, type Socket } from 'node:net';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { listenError } from '../lib/listen.ts';
import { type Probe, probesFor } from './capture/probes.ts';
import type { CaptureSettings } from './capture/rules.ts';

/** Rules lead a call to this pod at once. */
const ARRIVES_MS = 3000;
/** One is awaited; nothing else of the pod runs yet. */
const MOST_CONNECTIONS = 8;
/** There is no way to where it was to go, so that nothing gets out there. */
const NO_WAY = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);

type Outcome = 'captured' | 'no way' | { readonly problem: string };

/**
 * Resolves with what was seen.
 * @throws SallyportError `capture-missing`
 */
export async function checkCapture(settings: CaptureSettings, uid = process.getuid?.() ?? 0): Promise<string> {
  const seen: string[] = [];
  for (const probe of probesFor(settings, uid)) {
    const outcome = await (probe.what === 'DNS' ? askDns(probe) : call(probe));
    if (typeof outcome === 'object') throw missing(`${probe.what} to ${probe.ip} port ${probe.port} is not captured: ${outcome.problem}`);
    if (outcome === 'captured') seen.push(`${probe.what} (${isIP(probe.ip) === 6 ? 'IPv6' : 'IPv4'})`);
  }
  if (seen.length === 0) throw missing('none of the calls that show it has a way out of this pod');
  return seen.join(', ');
}

function missing(what: string): SallyportError {
  return new SallyportError(
    'capture-missing',
    `${what}. This pod would run past its proxy, so it does not start. Is Sallyport's CNI plugin on this node (DaemonSet sallyport-cni, ready), ` +
      'and does the container runtime tell plugins of annotations (containerd 1.5, CRI-O 1.29, or later)? A pod that was made before the plugin was there has to be made anew',
  );
}

async function call({ ip, port, arrives }: Probe): Promise<Outcome> {
  const server = createServer();
  server.maxConnections = MOST_CONNECTIONS;
  const accepted: Socket[] = [];
  const taken = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error) =>
      codeOf(error) === 'EADDRINUSE' ? resolve(true) : reject(listenError(error, { ip: arrives.ip, port: arrives.port })),
    );
    server.listen(arrives.port, arrives.ip, () => resolve(false));
  });
  const socket = connect({ host: ip, port });
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Outcome>((resolve) => {
      late = setTimeout(() => resolve(notArrived(arrives)), ARRIVES_MS);
      // A proxy that listens there already began after this was seen.
      const decide = () => {
        if (socket.connecting) return;
        if (taken || accepted.some(({ remotePort }) => remotePort === socket.localPort)) resolve('captured');
      };
      server.on('connection', (other) => {
        accepted.push(other.on('error', () => undefined));
        decide();
      });
      socket.on('connect', decide);
      socket.on('error', (error) => resolve(NO_WAY.has(codeOf(error) ?? '') ? 'no way' : { problem: messageOf(error) }));
    });
  } finally {
    clearTimeout(late);
    for (const each of [socket, ...accepted]) each.destroy();
    server.close();
  }
}

/** One byte, which is no question, should it get out. */
async function askDns({ ip, port, arrives }: Probe): Promise<Outcome> {
  const type = isIP(ip) === 6 ? 'udp6' : 'udp4';
  const [server, client] = [createSocket(type), createSocket(type)];
  let late: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Outcome>((resolve) => {
      late = setTimeout(() => resolve(notArrived(arrives)), ARRIVES_MS);
      server.on('error', (error) => resolve(codeOf(error) === 'EADDRINUSE' ? 'captured' : { problem: messageOf(error) }));
      client.on('error', (error) => resolve(NO_WAY.has(codeOf(error) ?? '') ? 'no way' : { problem: messageOf(error) }));
      server.on('message', () => resolve('captured'));
      server.bind(arrives.port, arrives.ip, () => client.send(Buffer.alloc(1), port, ip));
    });
  } finally {
    clearTimeout(late);
    client.close();
    server.close();
  }
}

function notArrived({ ip, port }: Probe['arrives']): Outcome {
  return { problem: `it does not arrive at ${ip} port ${port} within ${ARRIVES_MS / 1000} s` };
}
