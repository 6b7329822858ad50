// Runs before anything is drawn, and while the modules are still loading. Not a module itself, because modules run later.
{
  const theme = localStorage.getItem("muster.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

  // Asked once without a wait for the modules, and by `session.js` from then on.
  window.startQuery = "query Start { eventCursor me { name email role scope { integrationKeys instanceIds } member { id } } }";
  const ask = (token) =>
    fetch(new URL("graphql", document.baseURI), {
      method: "POST",
      headers: {
        accept: "application/graphql-response+json, application/json",
        "content-type": "application/json",
        ...(token && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query: window.startQuery }),
      credentials: "same-origin",
    });
  const token = sessionStorage.getItem("muster.token");
  /** Asked where nobody has signed in before, because a browser's console shows refusals as errors. */
  const nobodyIs = async () => {
    const answer = await fetch(new URL("session", document.baseURI), { credentials: "same-origin" });
    return answer.ok && (await answer.json()).signedIn === false;
  };
  const start = async () => {
    if (!token && !localStorage.getItem("muster.signed-in") && (await nobodyIs())) return "nobody";
    return ask(token);
  };
  // A one-time link in the address may sign somebody in first.
  if (!location.hash.startsWith("#/")) window.started = start().catch(() => null);
}
