/** Small helpers for building protobuf messages. */

import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { type Address, AddressSchema } from '../xds/gen/envoy/config/core/v3/address_pb.js';

/** A protobuf Duration of so many milliseconds; fractions down to a nanosecond are kept. The same message for the same time: it must not be changed. */
export function toDuration(milliseconds: number): Duration {
  let duration = durations.get(milliseconds);
  if (!duration) {
    const seconds = Math.trunc(milliseconds / 1000);
    duration = create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((milliseconds - seconds * 1000) * 1e6) });
    if (durations.size < MOST_DURATIONS) durations.set(milliseconds, duration);
  }
  return duration;
}

/** Tens of thousands of messages have the same few. */
const durations = new Map<number, Duration>();
const MOST_DURATIONS = 1000;

/** A message packed as `Any`. */
export function packed<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/** The `config_type` of an extension: its configuration, packed. */
export function typedConfig<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): { case: 'typedConfig'; value: Any } {
  return { case: 'typedConfig', value: packed(schema, init) };
}

export function socketAddress(address: string, port: number): Address {
  return create(AddressSchema, {
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  });
}
