/** What addresses an agent takes. */
import { SallyportError } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';

/** As they are written on the command line. */
interface AgentAddresses {
  readonly adminAddress: SocketAddress;
  readonly controller: SocketAddress;
  readonly appMetrics?: string;
}

/** Throws `usage`. */
export function checkAgent({ adminAddress, appMetrics, controller }: AgentAddresses): void {
  if (adminAddress.port > 0 && !isLoopbackAddress(adminAddress.address))
    throw new SallyportError(
      'usage',
      `--admin-address ${adminAddress.address}:${adminAddress.port}: whoever reaches Envoy's admin server can end it and read its configuration: choose a loopback address, as 127.0.0.1`,
    );
  if (controller.port === 0) throw new SallyportError('usage', '--controller needs the port of the control plane, e.g. 15012');
  if (appMetrics !== undefined && !/^http:\/\/[^/]/.test(appMetrics))
    throw new SallyportError(
      'usage',
      `--app-metrics ${appMetrics}: it is the URL of the application's metrics, as http://127.0.0.1:8080/metrics`,
    );
}
