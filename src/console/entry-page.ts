/** The page on which people of a cluster enter a token. It runs no script: nothing of the console is told to whoever is not in. */

/** @param problem why the last token did not let in; empty where none was tried */
export function entryPage(problem: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Enter – Sallyport</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/main.css">
  </head>
  <body>
    <main class="entry">
      <p class="brand">Sallyport</p>
      <h1>Enter with a token of the cluster</h1>
      ${problem === '' ? '' : `<p class="failure" role="alert">${escaped(problem)}</p>`}
      <form method="post" action="/enter" class="stack">
        <label for="token">Bearer token</label>
        <input class="field mono" id="token" name="token" type="password" autocomplete="off" spellcheck="false" required autofocus>
        <button type="submit" class="button primary">Enter</button>
      </form>
      <p class="dim">For instance what <code>kubectl create token NAME</code> prints. The console shows the namespaces in which you may list VirtualServices and pods. The token is kept in its memory until you leave, for twelve hours at most, and nowhere else.</p>
    </main>
  </body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}
