import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../lib/free-port.ts';

import type { ControlEvent } from '../report.ts';
import { type Controller, type ControllerOptions, startController } from './controller.ts';

export interface RunningController {
  readonly control: Controller;
  /** Ports. */
  readonly plain: number;
  readonly tls: number;
  /** Folder of its CA. */
  readonly ca: string;
  readonly events: readonly ControlEvent[];
  /** Replaces what the file says. */
  readonly write: (text: string) => void;
}

export async function startedController(
  t: TestContext,
  text: string,
  options: Partial<ControllerOptions> = {},
): Promise<RunningController> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-controller-'));
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, text);
  const [plain, tls] = [await freePort(), await freePort()];
  const events: ControlEvent[] = [];
  const address = '127.0.0.1';
  const ca = join(folder, 'ca');
  const control = await startController(
    {
      paths: [file],
      meshConfig: undefined,
      ca,
      xds: { address, port: plain },
      xdsTls: { address, port: tls },
      statusAddress: { address, port: 0 },
      tokens: { jwks: undefined, audience: 'istio-ca', issuer: undefined },
      keepMs: 60_000,
      virtualHosts: false,
      ...options,
    },
    (event) => events.push(event),
  );
  t.after(async () => {
    await control.close(1000);
    rmSync(folder, { recursive: true });
  });
  return { control, plain, tls, ca, events, write: (next: string) => writeFileSync(file, next) };
}
