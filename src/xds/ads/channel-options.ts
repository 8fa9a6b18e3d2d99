/** Options of gRPC channels to control planes. */
export const CHANNEL_OPTIONS = {
  // A control plane that is gone without a word is missed.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_channelz': 0,
  // Each connection is tried when it is its time, whatever became of those before it.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // Not through what http_proxy names: that may be the data plane itself.
  'grpc.enable_http_proxy': 0,
};
