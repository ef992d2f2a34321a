// Lists that come in pages, and what is shown while something is fetched or cannot be.

import { button, el, replace } from "./dom.js";

// A table; `columns` are [label, class], `rows` lists of cells (text or nodes).
export function table(caption, columns, rows, attributes = {}) {
  return el("div", { class: "table-wrap" }, el("table", { class: "list", ...attributes },
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map(([label, kind]) => el("th", { scope: "col", class: kind || null }, label || el("span", { class: "unseen" }, "Actions"))))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, at) => el("td", { class: columns[at][1] || null }, cell)))))));
}

export function pager({ page = 1, pages = 1 }, go) {
  if (pages <= 1) return null;
  return el("nav", { class: "pager row", "aria-label": "Pages" },
    button("Previous page", { tone: "small", disabled: page <= 1, onclick: () => go(page - 1) }),
    el("span", { class: "muted" }, `Page ${page} of ${pages}`),
    button("Next page", { tone: "small", disabled: page >= pages, onclick: () => go(page + 1) }));
}

const nameOf = (node) => node.dataset.key ?? node.getAttribute("aria-label") ?? node.textContent;

// What had the focus has it again in what is drawn anew, or else the place has: never nothing, from
// where the next key would begin at the top of the page.
function keepingFocus(place, draw) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  draw();
  if (!held || held.isConnected) return;
  const again = [...place.querySelectorAll(held.tagName)].find((each) => nameOf(each) === nameOf(held));
  if (!again) place.tabIndex = -1;
  (again ?? place).focus({ preventScroll: true });
}

// Fetches and shows; the newest request wins, a failure says why and offers another try.
export class Fetched {
  #asked = 0;

  constructor(place) {
    this.place = place;
  }

  async show(fetching, draw) {
    this.#asked += 1;
    const asked = this.#asked;
    this.place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetching();
      if (asked !== this.#asked) return;
      keepingFocus(this.place, () => replace(this.place, draw(answer)));
    } catch (error) {
      if (asked !== this.#asked) return;
      if (!(error.status >= 0)) console.error(error);
      replace(this.place, el("div", { class: "plain", role: "alert" }, el("p", {}, error.message),
        button("Try again", { onclick: () => this.show(fetching, draw) })));
    } finally {
      if (asked === this.#asked) this.place.removeAttribute("aria-busy");
    }
  }
}
