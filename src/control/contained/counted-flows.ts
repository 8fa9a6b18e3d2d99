/** What `up` knows of the calls of this machine: the flows of its sidecar, counted as those of a contained command are. */
import type { Flow } from '../../flows/flow.ts';
import type { FlowHub } from '../../flows/hub.ts';
import { allowOption } from '../../lib/allow-option.ts';
import type { ObservedCall } from '../../lib/contained.ts';
import { splitAddress } from '../../lib/socket-address.ts';
import type { Registry } from '../../registry/model.ts';
import { allowedAs } from './allowed-as.ts';
import { Calls } from './calls.ts';
import type { CallsMade } from './report.ts';

export interface Counted {
  /** Once no more calls come. */
  end(): CallsMade;
}

export interface CountedMesh {
  /** Of this machine's workload. */
  readonly namespace: string;
  /** Undefined as long as nothing is in force. */
  readonly registry: () => Registry | undefined;
}

/** Counts every call of the sidecar from now on, and says which hosts are refused, or would be. */
export async function countFlows(hub: FlowHub, say: (line: string) => void, { namespace, registry }: CountedMesh): Promise<Counted> {
  let by: Flow['process'];
  const calls = new Calls({
    say,
    callerOf: () => by && { pid: by.pid, command: by.name },
    // What --allow is for `run` the command `allow` prints as resources.
    allowing: (target) => `sallyport ${allowOption(target).replace(/^--/, '')}`,
    allowedAs: (target) => {
      const known = registry();
      return known && allowedAs(known, namespace, target);
    },
    date: () => new Date().toISOString(),
  });
  const add = (flow: Flow) => {
    by = flow.process;
    calls.add(observed(flow));
  };
  /** Calls to what nothing declares that have not ended: who never hangs up has called, too. */
  const open = new Map<string, Flow>();
  const take = (flow: Flow) => {
    if (flow.kind === 'end') {
      open.delete(flow.id);
      add(flow);
    } else if (flow.undeclared) open.set(flow.id, flow);
  };
  const dropped = (count: number) => calls.missed(count);
  const unwatch = await hub.watch({ filter: ({ role }) => role === 'sidecar', take, dropped, ended: () => undefined });
  return {
    end() {
      unwatch();
      for (const flow of open.values()) add(flow);
      return { called: calls.all, others: calls.others };
    },
  };
}

function observed({
  host,
  port,
  source,
  verdict,
  reason = '',
  undeclared,
  protocol,
  bytesSent = 0,
  bytesReceived = 0,
}: Flow): ObservedCall {
  const call = { host, port, client: splitAddress(source), bytesSent, bytesReceived };
  if (undeclared) return { ...call, verdict: 'undeclared', reason: '' };
  if (verdict === 'refused' && protocol === 'dns') return { ...call, verdict: 'unresolved', reason };
  return { ...call, verdict: verdict ?? 'allowed', reason };
}
