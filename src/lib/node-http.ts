/**
 * Node's HTTP module, loaded without what `import 'node:http'` brings along: that reads every export, also the lazy ones of WebSocket, and with them
 * loads all of undici: 2 MiB in each thread for what nobody uses.
 */
export const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');
