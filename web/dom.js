// The few helpers that make and keep elements. Texts become text nodes, never markup.

// h('a', {class: 'name', href: '#/', onclick: f}, 'text', node, null): null children are left out.
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Leaves the node alone where the text is the same, so that a selection in it stays.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setTitled(node, text) {
  setText(node, text);
  if (node.title !== text) node.title = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const rows = new WeakMap();  // container -> Map of key to {node, update}

// Makes the children of `container` those of `items`, in order. `create(item)` gives {node,
// update}; update(item) runs every time. Nodes are kept by key, and the focus stays where it is.
export function syncList(container, items, keyOf, create) {
  let known = rows.get(container);
  if (!known) rows.set(container, known = new Map());
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const next = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (next.has(key)) continue;
    const row = known.get(key) ?? create(item);
    row.update(item);
    next.set(key, row);
  }
  for (const [key, row] of known) if (!next.has(key)) row.node.remove();
  let place = container.firstChild;
  for (const {node} of next.values()) {
    if (node === place) place = place.nextSibling;
    else container.insertBefore(node, place);
  }
  rows.set(container, next);
  if (focused && focused !== document.activeElement && focused.isConnected) {
    focused.focus({preventScroll: true});
  }
}

// Runs `work` at most once at a time and not more often than every `spacing` ms; a request while it
// runs makes it run once more. `work` catches its own errors.
export class Refresher {
  #work;
  #spacing;
  #running = null;
  #wanted = false;
  #last = -Infinity;

  constructor(work, spacing) {
    this.#work = work;
    this.#spacing = spacing;
  }

  get busy() {
    return this.#running !== null;
  }

  // Resolves when a run that began after this call has ended.
  request() {
    if (this.#running) {
      this.#wanted = true;
      return this.#running;
    }
    this.#running = this.#loop().finally(() => { this.#running = null; });
    return this.#running;
  }

  async #loop() {
    do {
      // Not by the wall clock, which may be set back by an hour.
      const wait = this.#last + this.#spacing - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      this.#wanted = false;
      this.#last = performance.now();
      await this.#work();
    } while (this.#wanted);
  }
}
