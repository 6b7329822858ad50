// The open sessions of a member.

import { done } from "../api.js";
import { useQuery } from "../data.js";
import { html } from "../lib.js";
import { useAction } from "./dialog.js";
import { Moment } from "./moment.js";
import { Button, Failure, Loading, say } from "./parts.js";
import { Badge } from "./state.js";

const SESSIONS = `query Sessions($memberId: ID) {
  sessions(memberId: $memberId) { id createdAt lastUsedAt expiresAt address userAgent isCurrent }
}`;
const END_SESSION = "mutation EndSession($input: EndSessionInput!) { endSession(input: $input) { userErrors { message } } }";

const BROWSERS = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrom(e|ium)\//, "Chrome"],
  [/Version\/.*Safari\//, "Safari"],
];
const SYSTEMS = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

const firstOf = (names, text) => names.find(([pattern]) => pattern.test(text))?.[1];

/** "Firefox on Linux", from what a browser calls itself. */
function browser(userAgent) {
  const [name, system] = [firstOf(BROWSERS, userAgent), firstOf(SYSTEMS, userAgent)];
  return [name ?? (userAgent || "Unknown browser"), name && system].filter(Boolean).join(" on ");
}

function OpenSession({ session, reload }) {
  const [busy, run, error] = useAction();
  const name = browser(session.userAgent);
  const end = () =>
    run(async () => {
      await done(END_SESSION, { id: session.id });
      say("The session has ended.");
      document.getElementById("sessions-heading")?.focus();
      reload();
    });
  return html`
    <li>
      <div class="grow">
        <p><span title=${session.userAgent}>${name}</span> ${session.isCurrent && html`<${Badge} tone="ok">This session</${Badge}>`}</p>
        <p class="second">
          ${session.address && html`From ${session.address}. `}Signed in <${Moment} at=${session.createdAt} />, last used <${Moment} at=${session.lastUsedAt} />,
          ends <${Moment} at=${session.expiresAt} /> at the latest
        </p>
        <p class="error" role="alert">${error}</p>
      </div>
      ${!session.isCurrent && html`<${Button} busy=${busy} onClick=${end} aria-label="End session: ${name}, ${session.address ?? ""}">End session</${Button}>`}
    </li>
  `;
}

/** The sessions of a member; by default those of the caller. */
export function Sessions({ memberId = null }) {
  const { data, error, reload } = useQuery(SESSIONS, { memberId });
  if (error) return html`<${Failure} error=${error} reload=${reload} />`;
  if (!data) return html`<${Loading} lines=${2} />`;
  if (data.sessions.length === 0) return html`<p class="second">No session is open.</p>`;
  return html`<ul class="list">${data.sessions.map((session) => html`<${OpenSession} key=${session.id} session=${session} reload=${reload} />`)}</ul>`;
}
