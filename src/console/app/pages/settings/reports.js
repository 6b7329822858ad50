// What is held against accounts: the days without activity, the types of findings, and where people sign in.

import { useEffect, useId, useState } from "../../../vendor/hooks.js";
import { ask, change } from "../../api.js";
import { useQuery, useWatch } from "../../data.js";
import { count, listed, number, plural } from "../../format.js";
import { html } from "../../lib.js";
import { merged } from "../../merge.js";
import { mayManage } from "../../session.js";
import { confirm, useAction, useGuard } from "../../ui/dialog.js";
import { byField, TextField, useFirstError } from "../../ui/fields.js";
import { findInstances } from "../../ui/find.js";
import { Finder, Picked } from "../../ui/finder.js";
import { TYPES } from "../../ui/finding.js";
import { Icon } from "../../ui/icon.js";
import { Button, Failure, instanceLink, Link, Loading, say } from "../../ui/parts.js";
import { Saving } from "./saving.js";

const REPORT_SETTINGS = `query ReportSettings { reportSettings {
  inactiveDays disabledTypes weeklyDigest signInEnforcedBy { instance { id name } provider { id name } } pendingEvaluations
} }`;
const SET_REPORT_SETTINGS = `mutation SetReportSettings($input: SetReportSettingsInput!) {
  setReportSettings(input: $input) { userErrors { code field message } }
}`;
const HELD_FINDINGS = `query HeldFindings($types: [FindingType!]) {
  findings(first: 1, filter: { types: $types, states: [OPEN, EXCEPTED, UNCONFIRMED] }) { totalCount totalCountIsExact }
}`;
/** All digits that fit into the number of the API, which says which numbers it takes. */
const WHOLE = /^\d{1,9}$/;
const OFF = "its findings are closed with the reason RULE_OFF, and its figures are empty.";

const itself = (value) => value;
const pairKey = ({ instance, provider }) => `${instance.id} ${provider.id}`;
const pathsOfPair = (index) => ["instanceId", "providerId"].map((field) => `signInEnforcedBy.${index}.${field}`);
const inOrder = (types) => Object.keys(TYPES).filter((type) => types.includes(type));
const byName = (one, other) => one.instance.name.localeCompare(other.instance.name);
const namesOf = (types) => listed(types.map((type) => `“${TYPES[type]}”`));

/** The settings as the forms edit them. */
const edited = ({ inactiveDays, disabledTypes, signInEnforcedBy, weeklyDigest }) => ({
  inactiveDays: String(inactiveDays),
  disabledTypes: inOrder(disabledTypes),
  signInEnforcedBy: [...signInEnforcedBy].sort(byName),
  weeklyDigest,
});

/**
 * The settings, each a part of the input of the API: `inputOf` a value, the `paths` of its errors, what to ask before it is
 * saved, and what is said after it. With `merge`, what two people change at once is joined; without it, the second one is
 * told.
 */
const SETTINGS = {
  inactiveDays: {
    what: "days",
    inputOf: (days) => (WHOLE.test(days.trim()) ? Number(days) : 0),
    paths: () => ["inactiveDays"],
    saved: (days) => `Saved: an account is inactive after ${count(Number(days), "day")} without activity.`,
    changed: (days) => `Somebody else has set ${count(Number(days), "day")} meanwhile. Save again to set yours instead.`,
  },
  disabledTypes: {
    what: "types",
    inputOf: itself,
    paths: () => ["disabledTypes"],
    merge: (base, own, stored) => inOrder(merged(base, own, stored, itself)),
    maySave: maySwitchOff,
    saved: (types) => (types.length ? `Saved: ${count(types.length, "type")} ${plural(types.length, "is", "are")} switched off.` : "Saved: all types are looked for."),
  },
  signInEnforcedBy: {
    what: "sign-in",
    inputOf: (pairs) => pairs.map(({ instance, provider }) => ({ instanceId: instance.id, providerId: provider.id })),
    paths: (pairs) => ["signInEnforcedBy", ...pairs.flatMap((_, index) => pathsOfPair(index))],
    merge: (base, own, stored) => merged(base, own, stored, pairKey, ({ instance }) => instance.id),
    saved: (pairs) => (pairs.length ? `Saved: people sign in by an identity provider in ${count(pairs.length, "instance")}.` : "Saved: no instance has sign-in by an identity provider."),
  },
  weeklyDigest: {
    what: "digest",
    inputOf: itself,
    paths: () => ["weeklyDigest"],
    saved: (isOn) => (isOn ? "Saved: recipients get a digest on Monday." : "Saved: no digest is sent."),
    changed: (isOn) => `Somebody else has switched the digest ${isOn ? "on" : "off"} meanwhile. Save again to set yours instead.`,
  },
};

/** Asks before findings are closed because their type is switched off. */
async function maySwitchOff(types, stored) {
  const further = types.filter((type) => !stored.includes(type));
  if (!further.length) return true;
  const { totalCount, totalCountIsExact } = (await ask(HELD_FINDINGS, { types: further })).findings;
  const findings = totalCount ? `${totalCountIsExact ? "" : "At least "}${count(totalCount, "finding")} ${plural(totalCount, "is", "are")}` : "No finding is";
  const [of, are] = further.length === 1 ? ["this type", "it is"] : ["these types", "they are"];
  const text = `${findings} closed with the reason RULE_OFF. The figures of ${of} are empty then. When ${are} switched on again, what holds is found anew.`;
  return confirm(`Switch off ${further.length === 1 ? namesOf(further) : count(further.length, "type")}?`, text, "Switch off");
}

/** A setting while it is edited: `own` was made of `base`, which was stored when the edit began. */
function useSetting({ name, stored, onEdit, reload }) {
  const { inputOf, paths, merge, maySave, saved, changed } = SETTINGS[name];
  const [edit, setEdit] = useState(null);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const isSame = (one, other) => JSON.stringify(inputOf(one)) === JSON.stringify(inputOf(other));
  const isEdited = edit !== null;
  useEffect(() => onEdit(name, isEdited), [isEdited]);
  const discard = () => {
    setEdit(null);
    setErrors({});
    setError("");
  };
  const value = edit?.own ?? stored;
  const save = (event) => {
    event.preventDefault();
    run(async () => {
      const base = edit?.base ?? stored;
      const now = edited((await ask(REPORT_SETTINGS)).reportSettings)[name];
      const isBehind = !isSame(base, now) && !isSame(value, now);
      if (isBehind && !merge) {
        setEdit({ own: value, base: now });
        setErrors({ [name]: changed(now) });
        return;
      }
      const own = isBehind ? merge(base, value, now) : value;
      if (maySave && !(await maySave(own, now))) return;
      const { userErrors } = await change(SET_REPORT_SETTINGS, { [name]: inputOf(own) });
      const { errors: found, rest } = byField(userErrors, paths(own));
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return setEdit({ own, base: now });
      say(isBehind ? `${saved(own)} Somebody else changed this meanwhile, and those changes are kept.` : saved(own));
      await reload();
      discard();
    });
  };
  const set = (own) => {
    const base = edit?.base ?? stored;
    // What is made as it was follows what is stored again.
    setEdit(JSON.stringify(own) === JSON.stringify(base) ? null : { own, base });
  };
  return { name, value, errors, isEdited, set, saving: { form, save, busy, error, discard } };
}

/** A setting: its heading, what it changes, and how it is edited, or what it is for those who may not change it. */
function Setting({ title, about, setting, shown, children }) {
  const { name, isEdited, saving } = setting;
  const id = `setting-${name}`;
  return html`
    <section class="card" aria-labelledby=${id}>
      <h2 id=${id}>${title}</h2>
      <p class="second lead">${about}</p>
      ${mayManage.value
        ? html`<form ref=${saving.form} class="stack" novalidate onSubmit=${saving.save}>
            ${children}
            <${Saving} label="Save ${SETTINGS[name].what}" isEdited=${isEdited} busy=${saving.busy} error=${saving.error} onDiscard=${saving.discard} />
          </form>`
        : shown}
    </section>
  `;
}

function Days(properties) {
  const setting = useSetting({ name: "inactiveDays", ...properties });
  const { value, errors, set } = setting;
  const about = `An account without any activity for so many days is found as ${namesOf(["INACTIVE"])}. One that costs something and was never active is found as ${namesOf(["NEVER_USED"])} once it is that old. With fewer days, more is found.`;
  return html`
    <${Setting} title="Days without activity" about=${about} setting=${setting} shown=${html`<p>${count(Number(value), "day")}</p>`}>
      <${TextField} label="Days" help="From 7 to 730. They are 90 at first." type="number" min="7" max="730" step="1" value=${value} error=${errors.inactiveDays ?? ""} onInput=${set} />
    </${Setting}>
  `;
}

/** A type, and what it means that it is switched off, or will be. */
function Type({ type, isOn, wasOn, onChange }) {
  const id = useId();
  const told = isOn ? (wasOn ? "" : "Once you save, it is looked for again.") : wasOn ? `Once you save, ${OFF}` : `Switched off: ${OFF}`;
  return html`
    <div>
      <p class="check">
        <input id=${id} type="checkbox" checked=${isOn} aria-describedby="${id}-told" onChange=${({ target }) => onChange(target.checked)} />
        <label for=${id}>${TYPES[type]}</label>
      </p>
      <small id="${id}-told" class="limits">${told}</small>
    </div>
  `;
}

function Types(properties) {
  const { stored } = properties;
  const setting = useSetting({ name: "disabledTypes", ...properties });
  const { value, errors, set } = setting;
  const about = "Accounts are checked for these types. The findings of a type that is switched off close with the reason RULE_OFF, and its figures are empty.";
  const shown = value.length ? html`<p>Switched off: ${namesOf(value)}. All others are looked for.</p>` : html`<p>All types are looked for.</p>`;
  const turn = (type, isOn) => set(inOrder(isOn ? value.filter((one) => one !== type) : [...value, type]));
  return html`
    <${Setting} title="Types of findings" about=${about} setting=${setting} shown=${shown}>
      <fieldset class="field stack">
        <legend class="unseen">Types that are looked for</legend>
        ${Object.keys(TYPES).map((type) => html`<${Type} key=${type} type=${type} isOn=${!value.includes(type)} wasOn=${!stored.includes(type)} onChange=${(isOn) => turn(type, isOn)} />`)}
        <span class="error" role="alert">${errors.disabledTypes ?? ""}</span>
      </fieldset>
    </${Setting}>
  `;
}

/** An application, and the identity provider by which its people sign in. */
const Pair = ({ pair: { instance, provider }, error = "", onRemove = null }) => html`
  <li>
    <span class="grow">
      <${Link} to=${instanceLink(instance.id)}>${instance.name}</${Link}> <span class="second">by <${Link} to=${instanceLink(provider.id)}>${provider.name}</${Link}></span>
      <span class="error block" role="alert">${error}</span>
    </span>
    ${onRemove && html`<${Button} look="quiet bare" aria-label="Remove ${instance.name}" onClick=${onRemove}><${Icon} name="x" /></${Button}>`}
  </li>
`;

function SignIn(properties) {
  const setting = useSetting({ name: "signInEnforcedBy", ...properties });
  const { value, errors, set } = setting;
  // Most companies have one, which is there for the next application.
  const [provider, setProvider] = useState(properties.stored.at(-1)?.provider ?? null);
  const [missing, setMissing] = useState("");
  const about = "Applications whose people can only sign in by an identity provider. There, the second factor that counts is that of the person's account at the provider. Without one, it is not known.";
  const none = html`<p class="second">There is no such application yet.</p>`;
  const shown = value.length ? html`<ul class="list">${value.map((pair) => html`<${Pair} key=${pairKey(pair)} pair=${pair} />`)}</ul>` : none;
  const pickProvider = ({ id, name }) => {
    setProvider({ id, name });
    setMissing("");
  };
  const pick = ({ id, name }) => {
    if (!provider) return setMissing("Choose the identity provider first.");
    const pair = { instance: { id, name }, provider };
    set(value.some(({ instance }) => instance.id === id) ? value.map((one) => (one.instance.id === id ? pair : one)) : [...value, pair]);
  };
  const errorOf = (index) => pathsOfPair(index).map((path) => errors[path] ?? "").join(" ").trim();
  return html`
    <${Setting} title="Sign-in by an identity provider" about=${about} setting=${setting} shown=${shown}>
      ${value.length > 0
        ? html`<ul class="list">${value.map((pair, index) => html`<${Pair} key=${pair.instance.id} pair=${pair} error=${errorOf(index)} onRemove=${() => set(value.filter((one) => one !== pair))} />`)}</ul>`
        : none}
      <${Finder} label="Identity provider" placeholder="Find an instance…" find=${findInstances} onPick=${pickProvider} error=${missing} />
      <${Picked} chosen=${provider ? [provider] : []} onRemove=${() => setProvider(null)} />
      <${Finder} label="Add an application" placeholder="Find an instance…" find=${findInstances} onPick=${pick} error=${errors.signInEnforcedBy ?? ""} />
    </${Setting}>
  `;
}

function Digest(properties) {
  const setting = useSetting({ name: "weeklyDigest", ...properties });
  const { value, errors, set } = setting;
  const id = useId();
  const about = "On Monday at 07:00 UTC, every recipient gets a mail with the counts of the findings of the week, and a link. It names nobody, and a week without news has no mail.";
  return html`
    <${Setting} title="Weekly digest" about=${about} setting=${setting} shown=${html`<p>${value ? "It is sent." : "It is not sent."}</p>`}>
      <p class="check">
        <input id=${id} type="checkbox" checked=${value} onChange=${({ target }) => set(target.checked)} />
        <label for=${id}>Send a weekly digest</label>
      </p>
      <span class="error" role="alert">${errors.weeklyDigest ?? ""}</span>
    </${Setting}>
  `;
}

export function ReportSettings() {
  const { data, error, reload } = useQuery(REPORT_SETTINGS);
  const [edits, setEdits] = useState({});
  const settings = data?.reportSettings;
  useGuard(Object.values(edits).some(Boolean));
  useWatch(settings?.pendingEvaluations > 0, reload);
  if (!settings) return error ? html`<${Failure} error=${error} reload=${reload} />` : html`<${Loading} lines=${6} />`;
  const stored = edited(settings);
  const pending = settings.pendingEvaluations;
  const note = (name, isEdited) => setEdits((before) => ({ ...before, [name]: isEdited }));
  return html`
    <p class="lead second">What is held against accounts, for all instances. <${Link} to="reports/findings">Findings</${Link}> and <${Link} to="reports">posture</${Link}> follow in the background.${!mayManage.value && " Only administrators can change this."}</p>
    ${pending > 0 && html`<p class="notice plain" role="status">Muster looks at the accounts again: ${number(pending)} ${plural(pending, "instance is", "instances are")} left.</p>`}
    <div class="columns">
      <div class="columns">
        <${Days} stored=${stored.inactiveDays} onEdit=${note} reload=${reload} />
        <${Digest} stored=${stored.weeklyDigest} onEdit=${note} reload=${reload} />
        <${SignIn} stored=${stored.signInEnforcedBy} onEdit=${note} reload=${reload} />
      </div>
      <${Types} stored=${stored.disabledTypes} onEdit=${note} reload=${reload} />
    </div>
  `;
}
