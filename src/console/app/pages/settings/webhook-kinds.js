// What a webhook can send to: programs, chats and alert managers, and what each wants to know.

const CHAT = {
  gets: "What is also written by mail",
  help: "It gets what is also written by mail: first syncs, failures, recoveries, and instances that are switched off or held.",
};
const ALERTS = {
  gets: "One alert for each instance that fails",
  help: "It has one alert for each instance that fails, until the instance works again, is switched off or is deleted.",
};

/** By kind: its name, the help of its address, its key if it has one, and what it gets, in short and at length. */
export const KINDS = {
  STANDARD: { label: "Program (signed JSON)", address: "Where the messages are sent, such as https://example.com/hook." },
  SLACK: { label: "Slack", address: "Of an incoming webhook: https://hooks.slack.com/services/…", ...CHAT },
  TEAMS: {
    label: "Microsoft Teams",
    address: "In Teams, open Workflows, choose “Send webhook alerts to a channel”, and copy the address that it gives you.",
    ...CHAT,
  },
  GOOGLE_CHAT: { label: "Google Chat", address: "In the space, Apps and integrations, Webhooks: https://chat.googleapis.com/v1/spaces/…", ...CHAT },
  DISCORD: { label: "Discord", address: "In the channel, Integrations, Webhooks: https://discord.com/api/webhooks/…", ...CHAT },
  MATTERMOST: { label: "Mattermost", address: "Of an incoming webhook: https://mattermost.example.com/hooks/…", ...CHAT },
  ROCKET_CHAT: { label: "Rocket.Chat", address: "Of an incoming integration: https://chat.example.com/hooks/…/…", ...CHAT },
  NTFY: {
    label: "ntfy",
    address: "The server and the topic, such as https://ntfy.sh/your-topic.",
    key: { label: "Access token", help: "For a topic that is protected.", optional: true },
    ...CHAT,
  },
  PAGERDUTY: {
    label: "PagerDuty",
    address: "Leave it empty for the US region. In the EU: https://events.eu.pagerduty.com/v2/enqueue.",
    mayBeEmpty: true,
    key: { label: "Integration key", help: "Of an Events API v2 integration of the service." },
    ...ALERTS,
  },
  OPSGENIE: {
    label: "Opsgenie or Jira Service Management",
    address: "Leave it empty for Opsgenie in the US. In the EU: https://api.eu.opsgenie.com. For Jira: https://api.atlassian.com/jsm/ops/integration.",
    mayBeEmpty: true,
    key: { label: "API key", help: "Of an API integration." },
    ...ALERTS,
  },
  ALERTMANAGER: {
    label: "Alertmanager",
    address: "Such as https://alertmanager.example.com.",
    key: { label: "User and password, or token", help: "user:password, or a bearer token, if it wants one.", optional: true },
    ...ALERTS,
  },
};

/** A kind by its name; one that only a newer server knows, too. */
export const kindOf = (kind) => KINDS[kind] ?? { label: kind, address: "" };
