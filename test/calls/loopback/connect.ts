/** How clients of the network on loopback connect: what their pods' redirect does, and what kube-proxy does. */
import net from 'node:net';
import { type Connect, dial, Failed } from '../client.ts';
import { type AddressMap, CAPTURE_PORT, podNumber } from './addresses.ts';
import { OUTSIDE_IP, PODS, type Pod, podsOf, resolveInPod, SERVICES } from './topology.ts';

/** True if the pod's redirect is in place. */
export async function captures(map: AddressMap, pod: Pod): Promise<boolean> {
  const self = podNumber(pod.ip);
  const real = map.real({ ip: pod.ip, port: CAPTURE_PORT }, self)!;
  const socket = await dial(real.ip, real.port, map.real({ ip: pod.ip, port: 0 }, self)!.ip).catch(() => undefined);
  socket?.destroy();
  return socket !== undefined;
}

export function loopbackConnect(map: AddressMap): Connect {
  return async (from, host, port) => {
    const pod = PODS.find((each) => each.name === from);
    const ip = net.isIP(host) > 0 ? host : resolveInPod(host, pod?.namespace)[0];
    if (ip === undefined) throw new Failed('dns_failure');
    const self = pod === undefined ? 0 : podNumber(pod.ip);
    const source = map.real({ ip: pod?.ip ?? OUTSIDE_IP, port: 0 }, self)!.ip;
    if (pod?.kind === 'sidecar') {
      // What the pod's redirect rule does: every connection is taken, and the sidecar learns where it was going.
      const real = map.real({ ip: pod.ip, port: CAPTURE_PORT }, self)!;
      const socket = await dial(real.ip, real.port, source);
      socket.write(JSON.stringify({ ip, port }));
      await new Promise<void>((resolve, reject) => {
        socket.once('readable', () => (socket.read(1) === null ? reject(new Failed('closed')) : resolve()));
        socket.once('error', () => reject(new Failed('closed')));
      });
      return socket;
    }
    const service = SERVICES.find((each) => each.clusterIp === ip);
    const target = service?.ports.find((each) => each.port === port);
    if (service !== undefined && target === undefined) throw new Failed('refused');
    const real = map.real(service === undefined ? { ip, port } : { ip: podsOf(service)[0]!.ip, port: target!.targetPort }, self);
    if (real === undefined) throw new Failed('unreachable');
    return dial(real.ip, real.port, source);
  };
}
