// The end of a form of Settings.

import { html } from "../../lib.js";
import { Button } from "../../ui/parts.js";

/** What was refused, and the buttons that save and discard. */
export const Saving = ({ label, isEdited, busy, error, onDiscard }) => html`
  <p class="error" role="alert">${error}</p>
  <div class="buttons">
    <${Button} look="primary" type="submit" busy=${busy}>${label}</${Button}>
    ${isEdited && html`<${Button} onClick=${onDiscard}>Discard</${Button}>`}
  </div>
`;
