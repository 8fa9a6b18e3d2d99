/** Whether the plugin is being taken from the nodes, or only this pod of its DaemonSet ends. */
import { isMapping } from '../../api/decode.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';

/** As an upgrade, a restart or a drained node end it, the plugin stays: pods of the mesh go on being captured meanwhile. Rejects where nobody can say. */
export async function goesForGood(client: ApiClient, namespace: string, daemonSet: string): Promise<boolean> {
  try {
    const found = await client.get(`/apis/apps/v1/namespaces/${namespace}/daemonsets/${daemonSet}`);
    const metadata = isMapping(found) && isMapping(found.metadata) ? found.metadata : {};
    return metadata.deletionTimestamp !== undefined;
  } catch (error) {
    // It is deleted, or so is the right to ask, which goes with it.
    if ([401, 403, 404].some((status) => isStatus(error, status))) return true;
    throw error;
  }
}
