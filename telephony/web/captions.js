// The conversation as bubbles. Words come from outside: they are only ever set as text.

const MAX_BUBBLES = 200;
const NAMES = { caller: "You", agent: "Voice agent" };

export class Captions {
  #list;
  #scroll;
  #spoken;
  #bubbles = new Map();
  #following = true;

  constructor(list, scroll, spoken) {
    this.#list = list;
    this.#scroll = scroll;
    this.#spoken = spoken;
    // The newest words stay in sight, unless the caller has scrolled up to read.
    scroll.addEventListener("scroll", () => {
      this.#following = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
    });
    new ResizeObserver(() => this.#follow()).observe(scroll);
  }

  clear() {
    this.#bubbles.clear();
    this.#following = true;
    this.#list.replaceChildren();
    this.#spoken.replaceChildren();
  }

  // The call is over: nothing more will come for what was still being said.
  finish() {
    for (const bubble of this.#bubbles.values()) bubble.classList.remove("interim");
  }

  // A caption with an id seen before replaces its words.
  show({ speaker, id, text, final }) {
    if (!(speaker in NAMES) || typeof text !== "string") return;
    const key = `${speaker} ${id}`;
    if (!text.trim()) {
      this.#bubbles.get(key)?.remove();
      this.#bubbles.delete(key);
      return;
    }
    const bubble = this.#bubbles.get(key) ?? this.#add(key, speaker);
    bubble.querySelector("p").textContent = text;
    bubble.classList.toggle("interim", !final);
    if (final) this.#announce(speaker, text);
    this.#follow();
  }

  #add(key, speaker) {
    const bubble = document.createElement("li");
    bubble.className = `bubble ${speaker}`;
    const name = document.createElement("span");
    name.className = "who";
    name.textContent = NAMES[speaker];
    bubble.append(name, document.createElement("p"));
    this.#list.append(bubble);
    this.#bubbles.set(key, bubble);
    if (this.#bubbles.size > MAX_BUBBLES) {
      const [oldest] = this.#bubbles.keys();
      this.#bubbles.get(oldest).remove();
      this.#bubbles.delete(oldest);
    }
    return bubble;
  }

  // Only finished sentences are read out: interim words would talk over the call.
  #announce(speaker, text) {
    const line = document.createElement("p");
    line.textContent = `${NAMES[speaker]}: ${text}`;
    this.#spoken.append(line);
    while (this.#spoken.childElementCount > 5) this.#spoken.firstElementChild.remove();
  }

  #follow() {
    if (this.#following) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }
}
