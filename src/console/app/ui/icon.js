// Glyphs of the sprite.

import { html } from "../lib.js";

const SPRITE = new URL("../../vendor/icons.svg", import.meta.url).pathname;

/** A glyph beside a text. It says nothing to those who do not see it. */
export const Icon = ({ name, size = 16 }) => html`
  <svg class="icon" width=${size} height=${size} aria-hidden="true" focusable="false"><use href="${SPRITE}#${name}" /></svg>
`;
