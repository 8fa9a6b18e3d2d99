/** The admin server of a proxy. */

export type { AcceptedResources, AdminSource, ClusterState, HostState, ListenerState, LogLevel, Rejection } from './model.ts';
export { type AdminAddress, type AdminServer, createAdmin, serveAdmin } from './server.ts';
