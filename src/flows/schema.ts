/** JSON Schema of the lines of `GET /flows`. Fields may be added; those that are there keep their meaning. */

import { table } from '../lib/table.ts';
import { PROTOCOLS, VERDICTS } from './flow.ts';

type Schema = Readonly<Record<string, unknown>>;

const TIME = { type: 'string', format: 'date-time' };

function text(description: string, more: Schema = {}): Schema {
  return { type: 'string', description, ...more };
}

function count(description: string): Schema {
  return { type: 'integer', minimum: 0, description };
}

const BOTH: Readonly<Record<string, Schema>> = table({
  time: { ...TIME, description: 'When the call began, or ended.' },
  id: text('The same for the beginning and the end of a call; of no other call of the process.'),
  proxy: text('namespace/name of the workload whose proxy tells of the call.'),
  role: { enum: ['sidecar', 'router'], description: 'router: a gateway.' },
  workload: text('Who calls: the SPIFFE ID of the certificate, else namespace/name of the workload.'),
  process: {
    type: 'object',
    description: 'The program that calls, where it is known: of a command of run, or of this machine where it calls up.',
    properties: { pid: count('As this machine counts.'), name: text('Of the program, or of the script that it interprets.') },
    required: ['pid', 'name'],
    additionalProperties: false,
  },
  source: text("address:port of the client's socket."),
  destination: text('address:port where the client wanted to go.'),
  host: text('Authority, server name, or the name or address that was asked for.'),
  port: { type: 'integer', minimum: 0, maximum: 65_535, description: '0 for a question for a name.' },
  protocol: { enum: PROTOCOLS, description: 'dns: a question for a name that was refused.' },
  method: text('Of HTTP.'),
  path: text('Without its query; at most 1024 characters.'),
  cluster: text("As in the proxy's configuration."),
  undeclared: { const: true, description: 'Nothing declares what is called, and it is not refused for that (ALLOW_ANY).' },
  route: text('Name of the route.'),
  origins: {
    type: 'array',
    description: 'The resources by which route and cluster came about.',
    items: {
      type: 'object',
      properties: {
        kind: text(''),
        namespace: text(''),
        name: text(''),
        file: text('Where it is written.'),
        line: count('From 1 on.'),
      },
      required: ['kind', 'namespace', 'name'],
      additionalProperties: false,
    },
  },
});

const END: Readonly<Record<string, Schema>> = table({
  verdict: {
    enum: VERDICTS,
    description: 'refused: the policy does not allow it; failed: the server was not reached, or did not answer to the end.',
  },
  reason: text('Why it was refused or failed.'),
  status: { type: 'integer', minimum: 100, maximum: 599, description: 'Of HTTP.' },
  upstream: text('address:port of the server or of the next proxy.'),
  gateway: text('namespace/name of the gateway of the same process to which the call went on.'),
  responseFlags: { type: 'array', items: { type: 'string' }, description: "Envoy's." },
  responseCodeDetails: text("Envoy's; for connections, details of their termination."),
  bytesSent: count('By the client: of the body for HTTP, of the connection otherwise.'),
  bytesReceived: count('By the client, likewise.'),
  duration: { type: 'number', minimum: 0, description: 'In ms.' },
});

const REQUIRED = ['kind', 'time', 'id', 'proxy', 'role', 'source', 'host', 'port', 'protocol'];

function line(title: string, kind: string, properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { title, type: 'object', properties: { kind: { const: kind }, ...properties }, required, additionalProperties: false };
}

/** Of the end of a call, by their names. */
export function flowEndProperties(): Readonly<Record<string, Schema>> {
  return { ...BOTH, ...END };
}

export function flowSchema(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Flow',
    description: 'A line of GET /flows and of sallyport flows -o json.',
    oneOf: [
      line('begin', 'begin', BOTH, REQUIRED),
      line('end', 'end', flowEndProperties(), [...REQUIRED, 'verdict', 'bytesSent', 'bytesReceived', 'duration']),
      line('dropped', 'dropped', { time: TIME, count: count('Flows that were left out before this line: the reader was too slow.') }, [
        'kind',
        'time',
        'count',
      ]),
    ],
  };
}
