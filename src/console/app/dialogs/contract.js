// The window with a contract: its term, and the seats and prices of its licences.

import { useId, useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { useQuery } from "../data.js";
import { html } from "../lib.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../ui/fields.js";
import { findInstances } from "../ui/find.js";
import { Finder, Picked } from "../ui/finder.js";
import { Icon } from "../ui/icon.js";
import { Button, say } from "../ui/parts.js";
import { CurrencyField, PeriodField, wholeNumber } from "../ui/price.js";

const UPSERT_CONTRACT = `mutation UpsertContract($input: UpsertContractInput!) {
  upsertContract(input: $input) { contract { id } userErrors { code field message } }
}`;
const NAMES = `query LicenceNames($filter: LicenseFilter) { licenses(first: 100, filter: $filter) { nodes { name } } }`;
const FIELDS = ["name", "instanceId", "currency", "billingMonths", "startsOn", "endsOn", "noticeDays"];
const OF_LINES = ["license", "seats", "unitPrice", "totalPrice"];

/** Opens the window of a contract; of a new one if there is none. Resolves to true if it was saved. */
export const editContract = (contract) => open(ContractWindow, { contract });

const newLine = () => ({ license: "", seats: "", of: "unit", amount: "" });
const lineOf = ({ license, seats, unitPrice, totalPrice }) => ({
  license,
  seats: String(seats),
  of: totalPrice !== null ? "total" : unitPrice !== null ? "unit" : "none",
  amount: unitPrice ?? totalPrice ?? "",
});

const typedOf = (contract) => ({
  instance: contract && { id: contract.instance.id, name: contract.instance.name },
  name: contract?.name ?? "",
  currency: contract?.currency ?? "",
  months: String(contract?.billingMonths ?? 12),
  startsOn: contract?.startsOn ?? "",
  endsOn: contract?.endsOn ?? "",
  noticeDays: String(contract?.noticeDays ?? 0),
  lines: contract?.lines.map(lineOf) ?? [newLine()],
});

const inputOf = (contract, { instance, name, currency, months, startsOn, endsOn, noticeDays, lines }) => ({
  ...(contract && { id: contract.id, expectedRevision: contract.revision }),
  instanceId: instance.id,
  name: name.trim(),
  currency: currency.trim(),
  billingMonths: wholeNumber(months),
  startsOn,
  endsOn,
  noticeDays: wholeNumber(noticeDays),
  lines: lines.map(({ license, seats, of, amount }) => ({
    license: license.trim(),
    seats: wholeNumber(seats),
    ...(of !== "none" && { [of === "total" ? "totalPrice" : "unitPrice"]: amount.trim() }),
  })),
});

/** What the browser finds wrong. */
function faultsOf({ instance, startsOn, endsOn }) {
  const faults = {};
  if (!instance) faults.instanceId = "Choose the instance whose licences it is about.";
  if (!startsOn) faults.startsOn = "Choose the first day.";
  if (!endsOn) faults.endsOn = "Choose the last day.";
  return faults;
}

const PRICES = { unit: "For one seat", total: "For all seats", none: "As set for the licence" };

/** The seats of one licence, and what they cost. */
function Line({ line, index, errors, names, onChange, onRemove }) {
  const at = (field) => errors[`lines.${index}.${field}`] ?? "";
  const set = (field) => (value) => onChange({ ...line, [field]: value });
  return html`
    <fieldset class="contract-line">
      <legend class="unseen">Licence ${index + 1}</legend>
      <${TextField} label="Licence" list=${names} value=${line.license} error=${at("license")} onInput=${set("license")} />
      <${TextField} label="Seats" type="number" min="0" value=${line.seats} error=${at("seats")} onInput=${set("seats")} />
      <${Field}
        label="Price"
        control=${(attributes) => html`
          <select ...${attributes} value=${line.of} onChange=${({ target }) => set("of")(target.value)}>
            ${Object.entries(PRICES).map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
          </select>
        `}
      />
      ${line.of !== "none" && html`<${TextField} label="Amount" inputmode="decimal" value=${line.amount} error=${at("unitPrice") || at("totalPrice")} onInput=${set("amount")} />`}
      ${onRemove && html`<${Button} look="quiet bare" aria-label="Remove licence ${index + 1}" onClick=${onRemove}><${Icon} name="x" /></${Button}>`}
    </fieldset>
  `;
}

function Lines({ typed, set, errors }) {
  const { lines, instance } = typed;
  const id = useId();
  // An instance that is not chosen yet has no licences.
  const { data } = useQuery(NAMES, { filter: { instanceId: instance?.id ?? null, integrationKeys: instance ? null : [] } });
  const replace = (index, line) => set("lines")(lines.map((one, other) => (other === index ? line : one)));
  return html`
    <datalist id=${id}>${data?.licenses.nodes.map(({ name }) => html`<option key=${name} value=${name} />`)}</datalist>
    <div class="stack">
      <h3>Licences</h3>
      ${lines.map(
        (line, index) => html`<${Line}
          key=${index}
          line=${line}
          index=${index}
          errors=${errors}
          names=${id}
          onChange=${(next) => replace(index, next)}
          onRemove=${lines.length > 1 ? () => set("lines")(lines.filter((_, other) => other !== index)) : null}
        />`,
      )}
      <p><${Button} look="small" icon="plus" onClick=${() => set("lines")([...lines, newLine()])}>Add a licence</${Button}></p>
    </div>
  `;
}

/** Whose licences it is about. A contract stays with its instance. */
const Instance = ({ contract, typed, set, error }) =>
  contract
    ? null
    : html`
        <${Finder} label="Instance" placeholder="Find an instance…" find=${findInstances} onPick=${set("instance")} error=${error} />
        <${Picked} chosen=${typed.instance ? [typed.instance] : []} onRemove=${() => set("instance")(null)} />
      `;

function ContractWindow({ contract, close }) {
  const before = typedOf(contract);
  const [typed, setTyped] = useState(before);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const set = (name) => (value) => setTyped((known) => ({ ...known, [name]: value }));
  const submit = (event) => {
    event.preventDefault();
    const faults = faultsOf(typed);
    setErrors(faults);
    if (Object.keys(faults).length) return;
    run(async () => {
      const { userErrors } = await change(UPSERT_CONTRACT, inputOf(contract, typed));
      const paths = [...FIELDS, ...typed.lines.flatMap((_, index) => OF_LINES.map((field) => `lines.${index}.${field}`))];
      const { errors: found, rest } = byField(userErrors, paths);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(`“${typed.name.trim()}” is saved.`);
      close(true);
    });
  };
  const day = (name, label) => html`<${TextField} label=${label} type="date" value=${typed[name]} error=${errors[name] ?? ""} onInput=${set(name)} />`;
  return html`
    <${Window}
      title=${contract ? "Edit contract" : "New contract"}
      second=${contract?.instance.name}
      wide
      unsaved=${JSON.stringify(typed) !== JSON.stringify(before)}
      onLeave=${() => close(false)}
    >
      <form ref=${form} novalidate onSubmit=${submit}>
        <${Instance} contract=${contract} typed=${typed} set=${set} error=${errors.instanceId ?? ""} />
        <${TextField} label="Name" help="Such as the number of the order." maxlength="200" value=${typed.name} error=${errors.name ?? ""} onInput=${set("name")} />
        <div class="even-fields">
          ${day("startsOn", "First day")} ${day("endsOn", "Last day")}
          <${TextField} label="Days of notice" help="Before the last day." type="number" min="0" max="730" value=${typed.noticeDays} error=${errors.noticeDays ?? ""} onInput=${set("noticeDays")} />
        </div>
        <div class="even-fields">
          <${CurrencyField} value=${typed.currency} error=${errors.currency ?? ""} onInput=${set("currency")} />
          <${PeriodField} months=${typed.months} error=${errors.billingMonths ?? ""} onInput=${set("months")} />
        </div>
        <${Lines} typed=${typed} set=${set} errors=${errors} />
        <p class="error" role="alert">${error}</p>
        <footer>
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} look="primary" type="submit" busy=${busy}>Save</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
