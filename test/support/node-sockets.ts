/** For preloads that lead connections elsewhere by patching `net.Socket`. */

type Binding = (name: string) => Record<string, unknown>;

/** Has the product open connections by `net.Socket`, as on a Node whose internals are not as expected. */
export function openByNodeSockets(): void {
  const node = process as unknown as { binding: Binding };
  const binding = node.binding.bind(process);
  node.binding = (name) => (name === 'tcp_wrap' ? { ...binding(name), TCPConnectWrap: undefined } : binding(name));
}
