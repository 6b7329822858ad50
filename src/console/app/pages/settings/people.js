// How people are recognised: the people sources and the domains. What a change would do is shown before it is made.

import { useEffect, useState } from "../../../vendor/hooks.js";
import { change } from "../../api.js";
import { useQuery, useWatch } from "../../data.js";
import { count, listed, number, plural } from "../../format.js";
import { html } from "../../lib.js";
import { Chips, joined, marked } from "../../ui/chips.js";
import { LeaveButton, open, useAction, useGuard, Window } from "../../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../../ui/fields.js";
import { findInstances } from "../../ui/find.js";
import { Finder } from "../../ui/finder.js";
import { Icon } from "../../ui/icon.js";
import { Button, Failure, instanceLink, Link, Loading, say } from "../../ui/parts.js";
import { Saving } from "./saving.js";

const RECOGNITION = `query Recognition { peopleSettings {
  sources { rank instance { id name integration { name } } } ownedDomains equivalentDomains { domain sameAs } stripTags pendingTasks
} }`;
const CHANGE = "accountsLinked accountsUnlinked accountsMoved peopleAdded peopleRemoved becomeCurrent becomeLeft becomeUnknown isComplete";
const SET_SOURCES = `mutation SetSources($input: SetPeopleSourcesInput!) {
  setPeopleSources(input: $input) { change { ${CHANGE} } userErrors { code field message } }
}`;
const SET_DOMAINS = `mutation SetDomains($input: SetOwnedDomainsInput!) {
  setOwnedDomains(input: $input) { change { ${CHANGE} } userErrors { code field message } }
}`;

/** "12 accounts": nothing if there are none. */
const some = (value, one, many = undefined) => (value > 0 ? [count(value, one, many)] : []);

/** What a change does to accounts and to people, a sentence for each. */
function toldChange({ accountsLinked, accountsUnlinked, accountsMoved, peopleAdded, peopleRemoved, becomeCurrent, becomeLeft, becomeUnknown }) {
  const accounts = [
    ...some(accountsLinked, "account").map((those) => `link ${those}`),
    ...some(accountsUnlinked, "account").map((those) => `unlink ${those}`),
    ...some(accountsMoved, "account").map((those) => `give ${those} to another person`),
    ...some(peopleAdded, "person", "people").map((those) => `add ${those}`),
    ...some(peopleRemoved, "person", "people").map((those) => `forget ${those} without any account`),
  ];
  const states = [
    ...some(becomeCurrent, "person", "people").map((those) => `${those} as current`),
    ...some(becomeLeft, "person", "people").map((those) => `${those} as left`),
    ...some(becomeUnknown, "person", "people").map((those) => `${those} as unknown`),
  ];
  const told = [...(accounts.length ? [listed(accounts)] : []), ...(states.length ? [`mark ${listed(states)}`] : [])];
  return told.map((what, index) => `${index ? "It" : "This"} would ${what}.`).join(" ") || "This would change nothing: every account stays whose it is.";
}

function Preview({ title, change: wouldBe, close }) {
  return html`
    <${Window} title=${title} onLeave=${() => close(false)}>
      <p>${toldChange(wouldBe)}</p>
      ${!wouldBe.isComplete && html`<p class="notice">There was no time to look at all accounts, so there is more than this.</p>`}
      <p class="second">People and accounts follow in the background. What members have decided about accounts stays.</p>
      <footer>
        <${LeaveButton}>Cancel</${LeaveButton}>
        <button type="button" class="primary" onClick=${() => close(true)}>Save</button>
      </footer>
    </${Window}>
  `;
}

/** Asks what an input would change, shows that, and makes the change if somebody wants it. Returns the user errors, or null if it was not made. */
async function saveAfterLook(mutation, input, title) {
  const trial = await change(mutation, { ...input, dryRun: true });
  if (trial.userErrors.length) return trial.userErrors;
  if (!(await open(Preview, { title, change: trial.change }))) return null;
  const { userErrors } = await change(mutation, input);
  return userErrors;
}

const toSource = ({ rank, instance }) => ({ id: instance.id, name: instance.name, second: instance.integration.name, rank: String(rank) });

/** A people source. Its rank decides which one has the last word. */
const SourceRow = ({ source, error, onRank, onRemove }) => html`
  <li class="source">
    <span><${Link} to=${instanceLink(source.id)}>${source.name}</${Link}> <span class="second">${source.second}</span></span>
    <div class="rank">
      <${Field}
        label=${html`Rank<span class="unseen"> of ${source.name}</span>`}
        error=${error}
        control=${(attributes) => html`<input ...${attributes} type="number" min="1" max="100" value=${source.rank} onInput=${({ target }) => onRank(target.value)} />`}
      />
    </div>
    <${Button} look="quiet bare" aria-label="Remove ${source.name}" onClick=${onRemove}><${Icon} name="x" /></${Button}>
  </li>
`;

/** The rank of a further source: after all others. */
const nextRank = (sources) => String(Math.min(100, Math.max(0, ...sources.map(({ rank }) => Number(rank) || 0)) + 1));

function SourcesForm({ stored, onEdit, reload }) {
  const [typed, setTyped] = useState(null);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const sources = typed ?? stored;
  useEffect(() => onEdit(typed !== null), [typed !== null]);
  const discard = () => {
    setTyped(null);
    setErrors({});
    setError("");
  };
  const pick = ({ id, name, second }) => {
    if (!sources.some((source) => source.id === id)) setTyped([...sources, { id, name, second, rank: nextRank(sources) }]);
  };
  const save = (event) => {
    event.preventDefault();
    run(async () => {
      const input = { sources: sources.map(({ id, rank }) => ({ instanceId: id, rank: Number(rank) || 0 })) };
      const userErrors = await saveAfterLook(SET_SOURCES, input, "Save the people sources?");
      if (!userErrors) return;
      const { errors: found, rest } = byField(userErrors, sources.map((_, index) => `sources.${index}.rank`));
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(sources.length ? `Saved: ${count(sources.length, "people source")}.` : "Saved: there is no people source.");
      await reload();
      discard();
    });
  };
  return html`
    <form ref=${form} class="stack" novalidate onSubmit=${save}>
      ${sources.length === 0 && html`<p class="second">There is no people source yet. Add an instance that knows the people of your company.</p>`}
      ${sources.length > 0 &&
      html`<ul class="list">
        ${sources.map((source, index) => html`<${SourceRow}
          key=${source.id}
          source=${source}
          error=${errors[`sources.${index}.rank`] ?? ""}
          onRank=${(rank) => setTyped(sources.map((one) => (one.id === source.id ? { ...one, rank } : one)))}
          onRemove=${() => setTyped(sources.filter(({ id }) => id !== source.id))}
        />`)}
      </ul>`}
      <${Finder} label="Add a people source" placeholder="Find an instance…" find=${findInstances} onPick=${pick} />
      <${Saving} label="Save sources…" isEdited=${typed !== null} busy=${busy} error=${error} onDiscard=${discard} />
    </form>
  `;
}

/** The domains of a pasted or typed list. */
const domainsOf = (text) => text.split(/[,;\s]+/).map((part) => part.trim()).filter(Boolean);

/** A pair of domains in which the same name is the same person. */
const Pair = ({ pair, index, errors, onChange, onRemove }) => html`
  <div class="pair">
    <${TextField} label="Domain" value=${pair.domain} error=${errors[`equivalents.${index}.domain`] ?? ""} onInput=${(domain) => onChange({ ...pair, domain })} />
    <${TextField} label="Same as" value=${pair.sameAs} error=${errors[`equivalents.${index}.sameAs`] ?? ""} onInput=${(sameAs) => onChange({ ...pair, sameAs })} />
    <${Button} look="quiet bare" aria-label="Remove the pair ${pair.domain}" onClick=${onRemove}><${Icon} name="x" /></${Button}>
  </div>
`;

const EQUIVALENTS = "equivalents";
const pathsOf = (pairs) => [EQUIVALENTS, ...pairs.flatMap((_, index) => [`equivalents.${index}.domain`, `equivalents.${index}.sameAs`])];

function DomainsForm({ stored, onEdit, reload }) {
  const [edited, setEdited] = useState(null);
  const [typed, setTyped] = useState("");
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const { chips, pairs, stripTags } = edited ?? stored;
  const isEdited = edited !== null || typed.trim() !== "";
  useEffect(() => onEdit(isEdited), [isEdited]);
  const set = (changes) => setEdited({ chips, pairs, stripTags, ...changes });
  const setPair = (index, pair) => set({ pairs: pairs.map((one, other) => (other === index ? pair : one)) });
  const discard = () => {
    setEdited(null);
    setTyped("");
    setErrors({});
    setError("");
  };
  const save = (event) => {
    event.preventDefault();
    run(async () => {
      // What was typed without Enter counts.
      const owned = joined(chips, domainsOf(typed)).map(({ text }) => text);
      const userErrors = await saveAfterLook(SET_DOMAINS, { owned, equivalents: pairs, stripTags }, "Save the domains?");
      if (!userErrors) return;
      const wrong = marked(owned, userErrors, "owned");
      const { errors: found, rest } = byField(wrong.rest, pathsOf(pairs));
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) {
        setTyped("");
        return set({ chips: wrong.chips });
      }
      say(owned.length ? `Saved: ${count(owned.length, "owned domain")}.` : "Saved: no domain is owned.");
      await reload();
      discard();
    });
  };
  return html`
    <form ref=${form} class="stack" novalidate onSubmit=${save}>
      <${Chips}
        label="Owned domains"
        note="All domains of the company, such as example.com. A subdomain is a domain of its own. Addresses in other domains are of people from outside."
        inputmode="url"
        split=${domainsOf}
        isList=${(text) => /[,;\s]/.test(text)}
        chips=${chips}
        setChips=${(next) => set({ chips: next })}
        typed=${typed}
        setTyped=${setTyped}
      />
      <fieldset class="field">
        <legend>Equivalent domains</legend>
        <small>The same name before the @ is the same person in both domains.</small>
        ${pairs.map((pair, index) => html`<${Pair} key=${index} pair=${pair} index=${index} errors=${errors} onChange=${(next) => setPair(index, next)} onRemove=${() => set({ pairs: pairs.filter((_, other) => other !== index) })} />`)}
        <span class="error">${errors[EQUIVALENTS] ?? ""}</span>
        <p><${Button} look="small" icon="plus" onClick=${() => set({ pairs: [...pairs, { domain: "", sameAs: "" }] })}>Add a pair</${Button}></p>
      </fieldset>
      <label class="check"><input type="checkbox" checked=${stripTags} onChange=${({ target }) => set({ stripTags: target.checked })} /> <span>ann+news@example.com is ann@example.com, in owned domains</span></label>
      <${Saving} label="Save domains…" isEdited=${isEdited} busy=${busy} error=${error} onDiscard=${discard} />
    </form>
  `;
}

export function PeopleSettings() {
  const { data, error, reload } = useQuery(RECOGNITION);
  const [edited, setEdited] = useState({ sources: false, domains: false });
  const settings = data?.peopleSettings;
  useGuard(edited.sources || edited.domains);
  useWatch(settings?.pendingTasks > 0, reload);
  if (!settings) return error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`;
  const { sources, ownedDomains, equivalentDomains, stripTags, pendingTasks } = settings;
  const domains = { chips: joined([], ownedDomains), pairs: equivalentDomains, stripTags };
  const note = (name) => (isEdited) => setEdited((before) => ({ ...before, [name]: isEdited }));
  return html`
    <p class="lead second">How it is known whose an account is, and who belongs to the company. Each change shows first what it would do.</p>
    ${pendingTasks > 0 && html`<p class="notice plain" role="status">Muster goes through the accounts: ${number(pendingTasks)} ${plural(pendingTasks, "task is", "tasks are")} left.</p>`}
    <div class="columns">
      <section class="card" aria-labelledby="people-sources">
        <h2 id="people-sources">People sources</h2>
        <p class="second lead">Instances that say who the people of the company are. The lowest rank has the last word: personnel records come before an identity provider.</p>
        <${SourcesForm} stored=${sources.map(toSource)} onEdit=${note("sources")} reload=${reload} />
      </section>
      <section class="card" aria-labelledby="domains">
        <h2 id="domains">Domains</h2>
        <${DomainsForm} stored=${domains} onEdit=${note("domains")} reload=${reload} />
      </section>
    </div>
  `;
}
