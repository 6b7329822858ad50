// GraphiQL with the session of the browser, or with the API token that was entered in this tab.
{
  const token = sessionStorage.getItem("muster.token");
  const authorization = token ? { authorization: `Bearer ${token}` } : {};
  const url = new URL("graphql", document.baseURI);
  const socket = new URL(url);
  socket.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const fetcher = GraphiQL.createFetcher({
    url: url.href,
    headers: authorization,
    subscriptionUrl: socket.href,
    wsConnectionParams: authorization,
  });
  const defaultQuery = [
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
  // A document in the address comes first.
  const query = new URLSearchParams(location.search).get("query") ?? undefined;
  const root = ReactDOM.createRoot(document.getElementById("explorer"));
  root.render(React.createElement(GraphiQL, { fetcher, defaultQuery, query }));
}
