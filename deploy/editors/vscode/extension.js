// Starts `sallyport lsp` for the YAML files of a window.
const { workspace } = require('vscode');
const { LanguageClient } = require('vscode-languageclient/node');

let client;

exports.activate = () => {
  const settings = workspace.getConfiguration('sallyport');
  const [command, ...args] = settings.get('command');
  const { configurations, meshConfig, namespace, hints } = settings;
  client = new LanguageClient(
    'sallyport',
    'Sallyport',
    { command, args },
    { documentSelector: [{ scheme: 'file', language: 'yaml' }], initializationOptions: { configurations, meshConfig, namespace, hints } },
  );
  return client.start();
};

exports.deactivate = () => client?.stop();
