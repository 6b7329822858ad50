// Runs before anything is drawn, and while the modules are still loading. Not a module itself, because modules run later.
{
  const theme = localStorage.getItem("muster.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

  /** Who is signed in, and the position in the log of events: asked once without a wait for the modules. */
  const ask = (token) =>
    fetch(new URL("graphql", document.baseURI), {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json",
        "content-type": "application/json",
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query: "query Start { eventCursor me { name email role member { id } } }" }),
      credentials: "same-origin",
    });
  // A one-time link in the address may sign somebody in first.
  if (!location.hash.startsWith("#/")) window.started = ask(sessionStorage.getItem("muster.token")).catch(() => null);
}
