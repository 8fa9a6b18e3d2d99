/** Reading typed extension configurations: each failure names the resource's field, so that a refusal says what to change. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { messageOf, SallyportError } from '../lib/errors.ts';

/** Decodes `any` as `schema`. Throws `xds-invalid` when it is missing, of another type, or does not decode. */
export function unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc, where: string): MessageShape<Desc> {
  if (!any) throw new SallyportError('xds-invalid', `${where}: typed_config is missing (expected ${schema.typeName})`);
  let message: MessageShape<Desc> | undefined;
  try {
    message = anyUnpack(any, schema);
  } catch (error) {
    throw new SallyportError('xds-invalid', `${where}: typed_config does not decode as ${schema.typeName}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!message) throw new SallyportError('xds-invalid', `${where}: typed_config is a ${typeNameOf(any)}, expected ${schema.typeName}`);
  return message;
}

/** The message type that an Any holds, without the `type.googleapis.com/` prefix; empty for none. */
export function typeNameOf(any: Any | undefined): string {
  return any ? any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1) : '';
}

/** Refuses what the data plane does not have. */
export function unsupported(where: string, why: string): never {
  throw new SallyportError('xds-unsupported', `${where}: ${why}`);
}
