// Elements as tagged templates: html`<p class="quiet">${text}</p>`. Text is always shown as text, never as HTML.

import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(h);
