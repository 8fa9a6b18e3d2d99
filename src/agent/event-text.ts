/** What the agent says of what becomes of it. */
import type { AgentEvent } from './agent.ts';

/** By event the line that is said; undefined where it is no news. @param where the control plane is, `address:port` */
export function agentTeller(where: string): (event: AgentEvent) => string | undefined {
  let lost = false;
  return (event) => {
    switch (event.kind) {
      case 'issued':
        return `${event.first ? 'got' : 'renewed'} the certificate of ${event.identity}, good until ${new Date(event.notAfter).toISOString()}`;
      case 'not-issued':
        return `${where} gives no certificate (${event.reason}): trying again${event.first ? '; Envoy starts when there is one' : '; the one there is stays until it ends'}`;
      case 'provider':
        return `identities come from the provider at ${event.socket}`;
      case 'provider-lost':
        return `the provider at ${event.socket} cannot be had (${event.reason}): trying again`;
      case 'lost':
        lost = true;
        return `the control plane at ${where} cannot be had (${event.reason}): trying again; what is in force stays`;
      case 'connected': {
        const back = lost ? `the control plane at ${where} is back` : undefined;
        lost = false;
        return back;
      }
      case 'refused':
        return `Envoy did not take its identity: ${event.reason}`;
      case 'dns-failed':
        return event.reason;
      case 'ready':
        return 'ready';
    }
  };
}
