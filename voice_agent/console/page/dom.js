// Elements made of text and attributes. Nothing here takes markup: what callers said or are called
// is always inserted as text.

const SVG = "http://www.w3.org/2000/svg";

// el("p", { class: "note", onclick: f, "aria-label": "…" }, "text", node, null)
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Touches the page only when there is something to change.
export function setText(node, text) {
  const shown = text ?? "";
  if (node.textContent !== shown) node.textContent = shown;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

export function replace(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
}

const PATHS = {
  live: "M4 10v4M8 7v10M12 4v16M16 8.500v7M20 10.500v3",
  history: "M12 7v5l3.500 2M4.500 12a7.500 7.500 0 1 0 2.200-5.300L4.500 9M4.500 4.500V9H9",
  boards: "M5 20v-6M10 20V5M15 20v-9M20 20V9",
  answers: "M5 5h14v11H12l-4 4v-4H5zM9 10.500l2 2 4-4",
  handoff: "M8 7.500a3 3 0 1 0 0 .1M3 19c.5-3.500 2.500-5 5-5s4.500 1.500 5 5M15 9h6m-2.500-2.500L21 9l-2.500 2.500",
  switch: "M12 4v8M7.500 6.500a7.500 7.500 0 1 0 9 0",
  audit: "M7 4h10v16H7zM10 8h4M10 12h4M10 16h2",
  users: "M9 11a3 3 0 1 0-.1 0M3.500 19c.5-3.300 2.700-5 5.500-5s5 1.700 5.500 5M16 11a2.500 2.500 0 1 0-.1 0M17 14c2 .3 3.300 1.800 3.700 4",
  back: "M14 6l-6 6 6 6",
  listen: "M5 14v-2a7 7 0 0 1 14 0v2M5 14h3v5H6a1 1 0 0 1-1-1zM19 14h-3v5h2a1 1 0 0 0 1-1z",
  whisper: "M4 6h16v10H10l-4 4v-4H4zM8 10h8M8 13h4",
  barge: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zM6 12a6 6 0 0 0 12 0M12 18v3",
  takeover: "M4 12h11m-4-4 4 4-4 4M15 5h4v14h-4",
  handback: "M20 12H9m4-4-4 4 4 4M9 5H5v14h4",
  end: "M4 13c4-4 12-4 16 0l-2 3-3.500-1.200V12.500M4 13l2 3 3.500-1.200V12.500",
  alarm: "M12 4 3 19.500h18zM12 10v4.500M12 17v.1",
  check: "M5 12.500l4.500 4.500L19 7.500",
  cross: "M6 6l12 12M18 6 6 18",
  mute: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zM6 12a6 6 0 0 0 12 0M4 4l16 16",
  phone: "M6.600 3.500 9 3l1.900 4.400-1.900 1.700c1 2 2.700 3.800 4.800 4.900l1.800-1.900 4.400 1.900-.5 2.400c-.3 1.500-1.600 2.600-3.100 2.500C9.700 18.600 5.200 13.800 4.100 6.600 3.900 5.100 5.100 3.800 6.600 3.500Z",
  web: "M12 4a8 8 0 1 0 .1 0M4 12h16M12 4c-5 5-5 11 0 16M12 4c5 5 5 11 0 16",
  sun: "M12 8a4 4 0 1 0 .1 0M12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1 1M17.400 17.400l1 1M18.400 5.600l-1 1M6.600 17.400l-1 1",
  moon: "M19 14.500A7.500 7.500 0 0 1 9.500 5 7.500 7.500 0 1 0 19 14.500Z",
  leave: "M14 5H6v14h8M10 12h10m-3.500-3.500L20 12l-3.500 3.500",
  shield: "M12 4l7 2.500V12c0 4-3 6.800-7 8-4-1.200-7-4-7-8V6.500z",
};

export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
    svg("path", { d: PATHS[name] }));
}

export function button(label, { icon: picture, onclick, tone = "", key, ...rest } = {}) {
  const hint = key ? el("kbd", { "aria-hidden": "true" }, key.toUpperCase()) : null;
  return el("button", { type: "button", class: `button ${tone}`.trim(), onclick, ...(key ? { "aria-keyshortcuts": key } : {}), ...rest },
    picture ? icon(picture) : null, el("span", {}, label), hint);
}
