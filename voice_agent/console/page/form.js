// Labelled fields, and questions asked in a dialog of the browser's own (which keeps the focus).

import { button, el } from "./dom.js";

let fields = 0;

// A label with its control; `.input` is the control. `tag` may be "textarea" or "select".
export function field(label, { tag = "input", options = [], hint = "", ...attributes } = {}) {
  fields += 1;
  const id = `field-${fields}`;
  const input = el(tag, { id, ...attributes },
    options.map(([value, text]) => el("option", { value }, text)));
  const note = hint ? el("small", { id: `${id}-hint`, class: "muted" }, hint) : null;
  if (note) input.setAttribute("aria-describedby", note.id);
  const node = el("div", { class: "field" }, el("label", { for: id }, label), input, note);
  node.input = input;
  return node;
}

// Asks; the answer's values by field name, or null when the person thought better of it.
// `shown` are nodes above the fields. `act(values)` may do the thing while the dialog is still open: what it throws is shown there.
export function ask({ title, text = "", shown = [], asked = [], confirm, tone = "primary", act }) {
  return new Promise((resolve) => {
    const opener = document.activeElement;
    const problem = el("p", { class: "problem", role: "alert", hidden: true });
    const agree = button(confirm, { tone });
    const cancel = button("Cancel", { onclick: () => close(null) });
    agree.type = "submit";
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" },
      el("form", { method: "dialog", novalidate: true, onsubmit: submit },
        el("h2", { id: "dialog-title" }, title),
        text ? el("p", { class: "muted" }, text) : null,
        shown,
        asked,
        problem,
        el("div", { class: "row end" },
          cancel, agree)));
    // What is being done cannot be thought better of: the dialog stays until it is known how it went.
    const busy = () => cancel.disabled;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (!busy()) close(null);
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && busy()) event.preventDefault();
    });
    document.body.append(dialog);
    dialog.showModal();
    (asked[0]?.input ?? agree).focus();

    async function submit(event) {
      event.preventDefault();
      const values = {};
      for (const { input } of asked) {
        values[input.name] = input.type === "password" ? input.value : input.value.trim();
        if (input.required && !values[input.name]) {
          tell(input.dataset.missing || "Please fill this in.");
          input.focus();
          return;
        }
      }
      if (!act) {
        close(values);
        return;
      }
      if (busy()) return;
      agree.disabled = cancel.disabled = true;
      try {
        await act(values);
        close(values);
      } catch (error) {
        agree.disabled = cancel.disabled = false;
        tell(error.message);
      }
    }

    function tell(sentence) {
      problem.textContent = sentence;
      problem.hidden = false;
    }

    function close(values) {
      dialog.close();
      dialog.remove();
      opener?.focus?.();
      resolve(values);
    }
  });
}

// A short word at the bottom of the page, read out; gone after a while.
export function say(sentence, tone = "") {
  const place = document.getElementById("said");
  if (!place) return;
  const note = el("p", { class: `toast ${tone}` }, sentence);
  place.append(note);
  while (place.childElementCount > 3) place.firstElementChild.remove();
  setTimeout(() => note.remove(), tone === "bad" ? 12_000 : 6_000);
}
