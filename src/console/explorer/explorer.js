// GraphiQL with the session of the browser, or with the API token that was entered in this tab.
{
  const KEY = "muster.token";
  const token = sessionStorage.getItem(KEY);
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  const url = new URL("graphql", document.baseURI);
  const place = document.getElementById("explorer");
  const element = React.createElement;
  const DEFAULT_QUERY = [
    "# Queries, mutations and subscriptions, with your own role.",
    "",
    "{",
    "  instances(first: 10) {",
    "    totalCount",
    "    nodes { name status health }",
    "  }",
    "}",
    "",
  ].join("\n");

  /** Who is signed in: `{ name, role }`, or null if nobody is. */
  async function whoIsSignedIn() {
    const headers = { accept: "application/json", "content-type": "application/json", ...authorization };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query: "{ me { name role } }" }) });
    return answer.status === 401 ? null : (await answer.json()).data.me;
  }

  function Explorer() {
    const socket = new URL(url);
    socket.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const fetcher = GraphiQL.createFetcher({
      url: url.href,
      headers: authorization,
      subscriptionUrl: socket.href,
      wsConnectionParams: authorization,
    });
    // A document in the address comes first.
    const query = new URLSearchParams(location.search).get("query") ?? undefined;
    return element(GraphiQL, { fetcher, defaultQuery: DEFAULT_QUERY, query });
  }

  function useToken(event) {
    event.preventDefault();
    sessionStorage.setItem(KEY, new FormData(event.target).get("token").trim());
    location.reload();
  }

  const NotSignedIn = () =>
    element(
      "form",
      { className: "gate", onSubmit: useToken },
      element("h1", null, "This tab is not signed in"),
      token && element("p", { role: "alert" }, "The API token of this tab is not accepted. It may be mistyped, or revoked."),
      element("p", null, element("a", { href: "./" }, "Sign in to the console"), ", then open the explorer from its settings. An API token counts in the tab in which it was entered; you can also enter one here:"),
      element("label", { htmlFor: "token" }, "API token"),
      element("input", { id: "token", name: "token", type: "password", autoComplete: "off", required: true }),
      element("button", { type: "submit" }, "Use the token"),
    );

  const Failed = () => element("p", { className: "gate", role: "alert" }, "The server cannot be reached. Load this page again when it can.");

  whoIsSignedIn().then(
    (me) => {
      if (me) document.getElementById("who").textContent = `${me.name}, ${me.role.toLowerCase()}`;
      ReactDOM.createRoot(place).render(element(me ? Explorer : NotSignedIn));
    },
    () => ReactDOM.createRoot(place).render(element(Failed)),
  );
}
