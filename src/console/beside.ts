/** The console of a mesh that runs. */
import type { ControlPlane } from '../control/from-files.ts';
import type { FlowHub } from '../flows/hub.ts';
import { messageOf } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { MeshShown } from './subject.ts';

export interface BesideOptions {
  readonly at: SocketAddress;
  readonly flows: FlowHub | undefined;
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
  /** Whether files may be changed from the console. */
  readonly edit: boolean;
  readonly learned: MeshShown['learned'];
  /** What whoever started the mesh is to read. */
  readonly say: (text: string) => void;
}

export interface Beside {
  /** The mesh, or what was found of it, is not what it was. */
  changed(): void;
  close(): Promise<void>;
}

/** Nothing waits for it, and where it cannot be had, that is said. */
export function consoleBeside(control: Pick<ControlPlane, 'report'>, options: BesideOptions): Beside {
  const { say } = options;
  const opening = opened(control, options).catch((error: unknown) => void say(`no console: ${messageOf(error)}`));
  return {
    changed: () => void opening.then((console) => console?.changed()).catch((error: unknown) => say(`console: ${messageOf(error)}`)),
    close: async () => {
      await (await opening)?.close();
    },
  };
}

async function opened(control: Pick<ControlPlane, 'report'>, { at, say, ...more }: BesideOptions): Promise<Beside> {
  const [{ liveMesh }, { startConsole }] = await Promise.all([import('./live.ts'), import('./server.ts')]);
  const mesh = liveMesh({ control, ...more });
  const served = await startConsole({ at, shown: mesh.shown, enter: (url) => say(`console: ${url}`) });
  return {
    changed: () => {
      mesh.changed();
      served.changed();
    },
    close: served.close,
  };
}
