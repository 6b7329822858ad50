// The window with the recipients of all mail, and a test mail.

import { useEffect, useId, useState } from "../../vendor/hooks.js";
import { ask, change, done } from "../api.js";
import { useQuery } from "../data.js";
import { count } from "../format.js";
import { html } from "../lib.js";
import { merged } from "../merge.js";
import { me } from "../session.js";
import { Chips, joined, marked } from "../ui/chips.js";
import { open, useAction, Window } from "../ui/dialog.js";
import { TextField } from "../ui/fields.js";
import { Button, Failure, Loading, say } from "../ui/parts.js";

const RECIPIENTS = "query Recipients { recipients { emails } }";
const SET_RECIPIENTS = `mutation SetRecipients($input: SetRecipientsInput!) {
  setRecipients(input: $input) { recipients { emails } userErrors { code field message } }
}`;
const SEND_TEST = `mutation SendTest($input: SendTestMailInput!) {
  sendTestMail(input: $input) { notification { id } userErrors { message } }
}`;
const MAIL = "query Mail($id: ID!) { node(id: $id) { ... on Notification { state lastError } } }";
const WATCH = 1_000;

/**
 * The addresses of a pasted or typed list. They are separated by commas, semicolons, lines or spaces, and may have a name:
 * `Ada <ada@example.com>`.
 */
function addressesOf(text) {
  // What is in quotes is a name.
  const parts = text.replaceAll(/"[^"]*"/g, " ").split(/[,;\r\n\t]+/).map((part) => part.trim()).filter(Boolean);
  return parts.flatMap((part, index) => {
    const inBrackets = [...part.matchAll(/<([^<>]*)>/g)].map(([, address]) => address.trim()).filter(Boolean);
    if (inBrackets.length) return inBrackets;
    // The comma was part of a name: `Lovelace, Ada <ada@example.com>`.
    if (!part.includes("@") && parts[index + 1]?.includes("<")) return [];
    const words = part.split(/\s+/);
    return words.every((word) => word.includes("@")) ? words : [part];
  });
}

const OUTCOMES_OF_MAIL = {
  QUEUED: ["plain", "Queued. The result appears here."],
  SENT: ["ok", "Sent. The mail server has accepted it."],
  FAILED: ["danger", "Failed."],
  DROPPED: ["danger", "It was not sent."],
  INCLUDED: ["ok", "Sent within another mail."],
};

/** What becomes of a test mail, until that is certain. */
function MailResult({ id, address }) {
  const [mail, setMail] = useState({ state: "QUEUED", lastError: null });
  useEffect(() => {
    let timer = null;
    const look = async () => {
      const found = await ask(MAIL, { id }).catch(() => null);
      if (timer === false) return;
      if (found?.node) setMail(found.node);
      if (!found?.node || found.node.state === "QUEUED") timer = setTimeout(look, WATCH);
    };
    look();
    return () => {
      clearTimeout(timer);
      timer = false;
    };
  }, [id]);
  const [tone, text] = OUTCOMES_OF_MAIL[mail.state];
  return html`<p class="notice ${tone}" role="status"><span><strong>Test mail to ${address}:</strong> ${text} ${mail.lastError}</span></p>`;
}

function TestMail() {
  const [address, setAddress] = useState(me.value.email ?? "");
  const [sent, setSent] = useState(null);
  const [busy, run, error] = useAction();
  const send = (event) => {
    event.preventDefault();
    run(async () => {
      const to = addressesOf(address)[0] ?? "";
      setSent(null);
      const { notification } = await done(SEND_TEST, { address: to });
      setSent({ id: notification.id, address: to });
    });
  };
  return html`
    <form class="apart" onSubmit=${send} novalidate>
      <div class="beside">
        <${TextField} label="Test mail to" type="email" error=${error} value=${address} onInput=${setAddress} />
        <${Button} type="submit" icon="mail" busy=${busy}>Send test mail</${Button}>
      </div>
      ${sent && html`<${MailResult} key=${sent.id} id=${sent.id} address=${sent.address} />`}
    </form>
  `;
}

const keyOf = (address) => address.toLowerCase();

/**
 * Makes `own` of the list that was `loaded`, and keeps what others have made of it meanwhile. Returns what the API answered
 * last, and the addresses that it was asked to store.
 */
async function store(loaded, own) {
  let [expected, addresses] = [loaded, own];
  for (;;) {
    const answer = await change(SET_RECIPIENTS, { emails: addresses, expectedEmails: expected });
    if (!answer.userErrors.some(({ code }) => code === "REVISION_CONFLICT")) return { ...answer, addresses, isMerged: expected !== loaded };
    expected = answer.recipients.emails;
    addresses = merged(loaded, own, expected, keyOf);
  }
}

function RecipientsForm({ emails, onEdit, close }) {
  const [chips, setChips] = useState(() => joined([], emails));
  const [typed, setTyped] = useState("");
  const [busy, run, error, setError] = useAction();
  const form = useId();
  const isEdited = typed.trim() !== "" || chips.map(({ text }) => text).join() !== emails.join();
  useEffect(() => onEdit(isEdited), [isEdited]);
  const save = (event) => {
    event.preventDefault();
    run(async () => {
      // What was typed without Enter counts.
      const own = joined(chips, addressesOf(typed)).map(({ text }) => text);
      const { recipients, userErrors, addresses, isMerged } = await store(emails, own);
      if (!userErrors.length) {
        const saved = recipients.emails.length;
        const text = saved ? `Saved: ${count(saved, "recipient")} of all notifications.` : "Saved: only the creators of instances get notifications.";
        say(isMerged ? `${text} Somebody else changed the list meanwhile, and those changes are kept.` : text);
        return close();
      }
      const { chips: wrong, rest } = marked(addresses, userErrors, "emails");
      setChips(wrong);
      setTyped("");
      setError(rest.map(({ message }) => message).join(" "));
    });
  };
  return html`
    <form id=${form} onSubmit=${save} novalidate>
      <${Chips}
        label="Recipients"
        note="Leave this field empty if you want to only send notifications to the creators of instances."
        inputmode="email"
        hasFocus
        split=${addressesOf}
        isList=${(text) => /[,;\r\n<]|@.*\s.*@/.test(text)}
        chips=${chips}
        setChips=${setChips}
        typed=${typed}
        setTyped=${setTyped}
        error=${error}
      />
    </form>
    <${TestMail} />
    <footer>
      <${Button} type="submit" look="primary" form=${form} busy=${busy}>Save</${Button}>
    </footer>
  `;
}

function RecipientsWindow({ close }) {
  const { data, error, reload } = useQuery(RECIPIENTS);
  const [isEdited, setEdited] = useState(false);
  // Recipients that somebody else sets meanwhile do not replace what is being typed.
  const [emails, setEmails] = useState(null);
  useEffect(() => {
    if (data) setEmails((before) => before ?? data.recipients.emails);
  }, [data]);
  return html`
    <${Window} title="Manage Recipients" unsaved=${isEdited} escapeDiscards onLeave=${() => close()}>
      <p>The recipient will receive email notifications for each instance of every integration.</p>
      ${emails && html`<${RecipientsForm} emails=${emails} onEdit=${setEdited} close=${close} />`}
      ${!emails && (error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${2} />`)}
    </${Window}>
  `;
}

/** Opens the window in which the recipients of all mail are managed. */
export const manageRecipients = () => open(RecipientsWindow);
