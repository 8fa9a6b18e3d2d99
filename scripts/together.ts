/** Folders of `src` whose tests neither start processes nor change what others in their process see. */
export const TOGETHER =
  'src/{analysis,api,ca,convert,flows,gateway-api,http,kube,learn,lib,prove,registry,simulate,translate,xds}/**/*.test.ts';
