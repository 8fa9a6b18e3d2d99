/** xDS messages as JSON in the admin server's form: proto field names, secrets blotted out. */
import {
  clone,
  create,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageShape,
  toJson,
} from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack, anyUnpack, StructSchema } from '@bufbuild/protobuf/wkt';
import { typeRegistry } from '../xds/type-registry.ts';

/** An Any of a type that we do not know prints as a struct of its type and bytes, instead of failing the whole dump. */
export function toAdminJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonObject {
  const options = { registry: typeRegistry, useProtoFieldName: true } as const;
  try {
    return toJson(schema, message, options) as JsonObject;
  } catch {
    const copy = clone(schema, message);
    replaceUnknown(copy);
    return toJson(schema, copy, options) as JsonObject;
  }
}

function replaceUnknown(value: unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    value.forEach(replaceUnknown);
    return;
  }
  if ((value as Message).$typeName === AnySchema.typeName) replaceAny(value as Any);
  else for (const field of Object.values(value)) replaceUnknown(field);
}

function replaceAny(any: Any): void {
  const message = anyUnpack(any, typeRegistry);
  const schema = message && typeRegistry.getMessage(message.$typeName);
  if (message && schema) replaceUnknown(message);
  const replacement = message && schema ? anyPack(schema, message) : anyPack(StructSchema, describeUnknown(any));
  any.typeUrl = replacement.typeUrl;
  any.value = replacement.value;
}

function describeUnknown({ typeUrl, value }: Any) {
  const text = (value: string) => ({ kind: { case: 'stringValue', value } }) as const;
  return create(StructSchema, { fields: { type_url: text(typeUrl), value: text(Buffer.from(value).toString('base64')) } });
}

const REDACTED = '[redacted]';
const REDACTED_BYTES = Buffer.from(REDACTED).toString('base64');

/** Fields that Envoy's API marks as sensitive. */
const SENSITIVE: ReadonlySet<string> = new Set(['private_key', 'password', 'pkcs12', 'generic_secret', 'session_ticket_keys']);

/** A copy of the JSON with every sensitive value blotted out, as Envoy does it. */
export function redact(value: JsonValue, sensitive = false): JsonValue {
  if (Array.isArray(value)) return value.map((entry) => redact(entry, sensitive));
  if (typeof value === 'string') return sensitive ? REDACTED : value;
  if (typeof value !== 'object' || value === null) return value;
  // The type first, as Envoy prints it.
  const entries =
    typeof value['@type'] === 'string' ? [['@type', value['@type']] as const, ...Object.entries(value)] : Object.entries(value);
  return Object.fromEntries(
    entries.map(([key, entry]): [string, JsonValue] => {
      const hidden = sensitive || SENSITIVE.has(key);
      return [key, hidden && key === 'inline_bytes' ? REDACTED_BYTES : redact(entry, hidden && key !== '@type')];
    }),
  );
}
