// Make tables that a screen reader can read and a narrow window can scroll.

import { make } from "./elements.js";

export function table(caption, heads, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {},
        make("th", { scope: "row" }, String(first)), ...rest.map((cell) => make("td", {}, String(cell))))))));
}
