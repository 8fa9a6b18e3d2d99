/** Reading typed extension configurations: each failure names the resource's field, so that a refusal says what to change. */
import { type DescMessage, fromBinary, fromJson, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { TypedStructSchema as UdpaTypedStructSchema } from './gen/udpa/type/v1/typed_struct_pb.js';
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.js';
import { lastValue } from './wire.ts';

/** Decodes `any` as `schema`. Throws `xds-invalid` when it is missing, of another type, or does not decode. */
export function unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc, where: string): MessageShape<Desc> {
  if (!any) throw new SallyportError('xds-invalid', `${where}: typed_config is missing (expected ${schema.typeName})`);
  let message: MessageShape<Desc> | undefined;
  try {
    message = isTypedStruct(any) ? unpackStruct(any, schema) : anyUnpack(any, schema);
  } catch (error) {
    throw new SallyportError('xds-invalid', `${where}: typed_config does not decode as ${schema.typeName}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!message) throw new SallyportError('xds-invalid', `${where}: typed_config is a ${typeNameOf(any)}, expected ${schema.typeName}`);
  return message;
}

/**
 * The message type that an Any holds, without the `type.googleapis.com/` prefix; empty for none. Of a TypedStruct the type that it stands for, as in Envoy:
 * control planes write so what they have no generated code for.
 */
export function typeNameOf(any: Any | undefined): string {
  if (!any) return '';
  if (!isTypedStruct(any)) return nameIn(any.typeUrl);
  const typeUrl = lastValue(any.value, TypedStructSchema.field.typeUrl.number);
  return nameIn(Buffer.from(typeUrl ?? []).toString('utf8'));
}

function nameIn(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/** Both have the same fields. */
const TYPED_STRUCTS: readonly string[] = [TypedStructSchema.typeName, UdpaTypedStructSchema.typeName];

function isTypedStruct({ typeUrl }: Any): boolean {
  return TYPED_STRUCTS.includes(nameIn(typeUrl));
}

function unpackStruct<Desc extends DescMessage>(any: Any, schema: Desc): MessageShape<Desc> | undefined {
  if (typeNameOf(any) !== schema.typeName) return undefined;
  return fromJson(schema, fromBinary(TypedStructSchema, any.value).value ?? {});
}

/** Refuses what the data plane does not have. */
export function unsupported(where: string, why: string): never {
  throw new SallyportError('xds-unsupported', `${where}: ${why}`);
}
