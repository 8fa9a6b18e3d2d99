/** What a worker thread does: one data plane that takes xDS from the main thread. */
import { parentPort } from 'node:worker_threads';
import { codeOf, messageOf } from '../lib/errors.ts';
import { createDataPlane, type DataPlane, type LogLevel } from './dataplane.ts';
import { surviveFaults } from './faults.ts';
import { FlowBatches } from './flow-batches.ts';
import { collectWhenIdle } from './idle-memory.ts';
import type { FromWorker, ToWorker, WorkerData, WorkerReplies, WorkerRequest } from './worker-protocol.ts';

const port = parentPort;
if (!port) throw new Error('this module runs in a worker thread only');
const send = (message: FromWorker): void => port.postMessage(message);
const log = (level: LogLevel, message: string): void => send({ kind: 'log', level, message });

surviveFaults(log);
collectWhenIdle();

async function start(data: WorkerData): Promise<DataPlane | undefined> {
  try {
    const plane = await createDataPlane({
      log,
      environment: data.environment,
      node: data.node,
      sharesPorts: data.sharesPorts,
      first: data.index === 0,
      nameServers: data.nameServers,
      dns: data.dns,
      workload: data.workload,
      audit: data.audit,
      tokens: data.tokens,
      tickets: data.tickets,
    });
    send({ kind: 'ready', problem: undefined });
    return plane;
  } catch (error) {
    send({ kind: 'ready', problem: { code: codeOf(error) ?? 'worker-failed', message: messageOf(error) } });
    return undefined;
  }
}

async function answer(plane: DataPlane, request: WorkerRequest): Promise<WorkerReplies[keyof WorkerReplies]> {
  switch (request.kind) {
    case 'apply':
      return plane.apply(request.update, request.probe);
    case 'stats':
      return plane.stats();
    case 'status':
      return plane.status();
    case 'reopen-logs':
      await plane.reopenLogs();
      return undefined;
    case 'watch-flows':
      plane.watchFlows(
        request.on ? batches.add : undefined,
        request.sparing ? { leftOut: batches.leave, later: batches.later } : undefined,
      );
      return undefined;
    case 'recent-flows':
      return plane.recentFlows();
    case 'drain':
      await plane.drain(request.graceMs);
      return undefined;
    case 'close':
      plane.close();
      batches.flush();
      return undefined;
  }
}

const batches = new FlowBatches((flows, dropped) => send({ kind: 'flows', flows, dropped }));
let starting: Promise<DataPlane | undefined> | undefined;

port.on('message', async (message: ToWorker) => {
  if (message.kind === 'start') {
    starting = start(message.data);
    return;
  }
  if (message.kind === 'flows-taken') {
    batches.taken(message.count);
    return;
  }
  const { id, request } = message;
  const plane = await starting;
  if (!plane) {
    send({ kind: 'reply', id, value: undefined, error: 'it has no data plane' });
    return;
  }
  try {
    send({ kind: 'reply', id, value: await answer(plane, request), error: undefined });
  } catch (error) {
    send({ kind: 'reply', id, value: undefined, error: messageOf(error) });
  }
  if (request.kind === 'close') port.close();
});
