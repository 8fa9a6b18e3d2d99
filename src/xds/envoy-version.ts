/** Which release of Envoy a node runs. */
import type { Node } from './gen/envoy/config/core/v3/base_pb.js';

/** Whether it is 1.`minor` or newer; not where the node does not say. */
export function isFromRelease({ userAgentVersionType: agent }: Pick<Node, 'userAgentVersionType'>, minor: number): boolean {
  const version = agent.case === 'userAgentBuildVersion' ? agent.value.version : undefined;
  return version !== undefined && (version.majorNumber > 1 || version.minorNumber >= minor);
}
