// The window with the price of a licence.

import { useState } from "../../vendor/hooks.js";
import { change } from "../api.js";
import { html } from "../lib.js";
import { LeaveButton, open, useAction, Window } from "../ui/dialog.js";
import { byField, Field, TextField, useFirstError } from "../ui/fields.js";
import { Button, say } from "../ui/parts.js";
import { CurrencyField, PeriodField, wholeNumber } from "../ui/price.js";

const SET_PRICE = `mutation SetPrice($input: SetPriceInput!) {
  setPrice(input: $input) { license { name } userErrors { code field message } }
}`;
const PATHS = ["price.currency", "price.unitPrice", "price.totalPrice", "price.seats", "price.billingMonths"];

/** Opens the window. Resolves to true if the price was changed. */
export const editPrice = (of) => open(PriceWindow, of);

const typedOf = (price) => ({
  currency: (price?.unitPrice ?? price?.totalPrice)?.currency ?? "",
  amount: (price?.unitPrice ?? price?.totalPrice)?.amount ?? "",
  isTotal: Boolean(price?.totalPrice),
  seats: price?.seats ? String(price.seats) : "",
  months: String(price?.billingMonths ?? 12),
});

const inputOf = ({ currency, amount, isTotal, seats, months }) => ({
  currency: currency.trim(),
  [isTotal ? "totalPrice" : "unitPrice"]: amount.trim(),
  seats: isTotal ? wholeNumber(seats) : null,
  billingMonths: wholeNumber(months),
});

function PriceWindow({ instance, licence, price, close }) {
  const before = typedOf(price);
  const [typed, setTyped] = useState(before);
  const [errors, setErrors] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, run, error, setError] = useAction();
  const form = useFirstError(errors);
  const set = (name) => (value) => setTyped((known) => ({ ...known, [name]: value }));
  const store = (input) =>
    run(async () => {
      const { userErrors } = await change(SET_PRICE, { instanceId: instance.id, license: licence, price: input });
      const { errors: found, rest } = byField(userErrors, PATHS);
      setErrors(found);
      setError(rest.join(" "));
      if (userErrors.length) return;
      say(input ? `The price of “${licence}” is saved.` : `“${licence}” has no price any more.`);
      close(true);
    });
  const submit = (event) => {
    event.preventDefault();
    store(inputOf(typed));
  };
  const amountError = errors["price.unitPrice"] ?? errors["price.totalPrice"] ?? "";
  return html`
    <${Window} title="Price" second="${licence}, ${instance.name}" unsaved=${JSON.stringify(typed) !== JSON.stringify(before)} onLeave=${() => close(false)}>
      <form ref=${form} novalidate onSubmit=${submit}>
        <${Field}
          label="For"
          control=${(attributes) => html`
            <select ...${attributes} value=${typed.isTotal ? "total" : "seat"} onChange=${({ target }) => set("isTotal")(target.value === "total")}>
              <option value="seat">One seat</option>
              <option value="total">Several seats, in total</option>
            </select>
          `}
        />
        ${typed.isTotal && html`<${TextField} label="Number of seats" type="number" min="1" value=${typed.seats} error=${errors["price.seats"] ?? ""} onInput=${set("seats")} />`}
        <${TextField} label="Amount" help="Such as 250.00" inputmode="decimal" value=${typed.amount} error=${amountError} onInput=${set("amount")} />
        <${CurrencyField} value=${typed.currency} error=${errors["price.currency"] ?? ""} onInput=${set("currency")} />
        <${PeriodField} months=${typed.months} error=${errors["price.billingMonths"] ?? ""} onInput=${set("months")} />
        <p class="second">A price in a contract that is in force counts first.</p>
        <p class="error" role="alert">${error}</p>
        <footer>
          ${price && html`<${Button} look="quiet danger" busy=${busy} onClick=${() => store(null)}>Remove the price</${Button}>`}
          <${LeaveButton}>Cancel</${LeaveButton}>
          <${Button} look="primary" type="submit" busy=${busy}>Save</${Button}>
        </footer>
      </form>
    </${Window}>
  `;
}
