/** JSON Schema of the lines of an audit. Fields may be added; those that are there keep their meaning. */
import { flowEndProperties } from '../flows/schema.ts';

type Schema = Readonly<Record<string, unknown>>;

const TIME = { type: 'string', format: 'date-time' };
const HASH = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const ROLE = { enum: ['sidecar', 'router'], description: 'router: a gateway.' };
const PROXY = { type: 'string', description: "namespace/name of the proxy's workload." };
const COUNT = { type: 'integer', minimum: 0 };

function text(description: string): Schema {
  return { type: 'string', description };
}

function names(description: string): Schema {
  return { type: 'array', items: { type: 'string' }, maxItems: 100, description };
}

function entry(kind: string, description: string, properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = ['kind', ...Object.keys(properties).filter((name) => !optional.includes(name))];
  return {
    title: kind,
    description,
    type: 'object',
    properties: { kind: { const: kind }, ...properties },
    required,
    additionalProperties: false,
  };
}

function callEntry(): Schema {
  // The program that calls, and the gateway of the same process, are known only to who watches flows.
  const { id: _id, process: _process, gateway: _gateway, origins: _origins, ...fields } = flowEndProperties();
  const origin = { kind: text(''), name: text(''), namespace: text('') };
  const properties = {
    ...fields,
    time: { ...TIME, description: 'When the call ended.' },
    config: text('Hash of the configuration that the proxy had in force then; empty for calls that go round it (--allow-local).'),
    origins: {
      type: 'array',
      description: 'The resources by which route and cluster came about.',
      items: { type: 'object', properties: origin, required: Object.keys(origin), additionalProperties: false },
    },
  };
  const always = [
    'time',
    'proxy',
    'role',
    'source',
    'host',
    'port',
    'protocol',
    'verdict',
    'bytesSent',
    'bytesReceived',
    'duration',
    'config',
  ];
  return entry(
    'call',
    'A call, at its end.',
    properties,
    Object.keys(properties).filter((name) => !always.includes(name)),
  );
}

function entries(): readonly Schema[] {
  return [
    callEntry(),
    entry('config', 'A proxy has taken a change of its configuration over.', {
      time: TIME,
      proxy: PROXY,
      role: ROLE,
      before: text('Hash of the configuration before; empty at the start.'),
      config: text('Hash of the configuration from now on.'),
      changed: names('The first of the xDS resources that are new or changed.'),
      changedCount: COUNT,
      removed: names('Likewise.'),
      removedCount: COUNT,
      refused: {
        type: 'array',
        maxItems: 100,
        description: 'What the proxy would not take: the last good version of each stays.',
        items: {
          type: 'object',
          properties: { resource: text(''), message: text('') },
          required: ['resource', 'message'],
          additionalProperties: false,
        },
      },
      refusedCount: COUNT,
    }),
    entry(
      'segment',
      'The first line of each file.',
      {
        time: TIME,
        after: { enum: ['start', 'restart', 'rotation'] },
        cut: {
          type: 'object',
          description: 'Bytes before it that belong to no line, as the process before was ended while it wrote.',
          properties: { bytes: COUNT, sha256: HASH },
          required: ['bytes', 'sha256'],
          additionalProperties: false,
        },
        format: { const: 1 },
        product: text('What wrote it, and its version.'),
        publicKey: text('Of the key that signs: SubjectPublicKeyInfo, DER in base64.'),
        segment: { type: 'integer', minimum: 1 },
      },
      ['cut'],
    ),
    entry('failure', 'Lines could not be written for a time.', {
      time: { ...TIME, description: 'When they could again.' },
      since: TIME,
      reason: text(''),
      onFailure: { enum: ['refuse', 'go-on'], description: 'What became of calls meanwhile.' },
      lost: { ...COUNT, description: 'Lines that are not in the chain.' },
    }),
    entry(
      'signature',
      'Signs the line before it, and so all before that.',
      {
        time: TIME,
        key: { ...HASH, description: 'SHA-256 of the public key (SubjectPublicKeyInfo, DER).' },
        signature: text('Ed25519, in base64.'),
        end: { const: true, description: 'The process ended in order: nothing is missing after it.' },
      },
      ['end'],
    ),
  ];
}

export function auditLineSchema(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'AuditLine',
    description: 'A line of an audit (--audit); the form of its bytes and what is hashed and signed: docs/audit.md.',
    type: 'object',
    properties: {
      entry: { oneOf: entries() },
      prev: { ...HASH, description: 'SHA-256 of the line before.' },
      seq: { type: 'integer', minimum: 1, description: 'Of the line in the whole chain.' },
    },
    required: ['entry', 'prev', 'seq'],
    additionalProperties: false,
  };
}
