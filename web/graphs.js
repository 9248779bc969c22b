// The list of graphs with their progress.

import {countsBar, countsWords, stateMark, updateStateMark} from './bars.js';
import {now, showElapsed, showFixed} from './clock.js';
import {h, setAttribute, setText, setTitled, syncList} from './dom.js';
import {
  formatCount, formatCounted, formatExact, formatMoment, formatSpan, parseTime, percentDone,
} from './format.js';
import {graphHref} from './routes.js';
import {doneCount, graphState} from './states.js';
import {GraphList} from './store.js';

const FILTERS = ['', 'running', 'failed', 'succeeded', 'cancelled'];
const SHOWN = 15;
const MORE = 50;
const RUNNING_PAGE = 1000;
const PAGE = 100;

const isRunning = (graph) => graph.state === 'GRAPH_STATE_RUNNING';

export class GraphsPanel {
  #filter = '';
  #search = '';
  #shown = SHOWN;
  #error = '';

  constructor(root, store, listGraphs) {
    this.lists = new Map(FILTERS.map((state) => [
      state,
      new GraphList(store, state, listGraphs, state === 'running' ? RUNNING_PAGE : PAGE),
    ]));
    this.list = root.querySelector('.rows');
    this.note = root.querySelector('.note');
    this.empty = root.querySelector('.empty');
    this.more = root.querySelector('.more');
    this.buttons = new Map(FILTERS.map((state) => [
      state,
      h('button', {type: 'button', class: 'pill', onclick: () => this.#choose(state)}),
    ]));
    root.querySelector('.filters').append(...this.buttons.values());
    const search = root.querySelector('input');
    search.addEventListener('input', () => {
      this.#search = search.value.trim().toLowerCase();
      this.#shown = SHOWN;
      this.render();
    });
    this.more.addEventListener('click', () => this.#showMore());
  }

  // Asks for the running graphs and those of the filter again.
  async reload() {
    const filter = this.#filter;
    await Promise.all([...new Set(['running', filter])].map((state) =>
      this.lists.get(state).reload()));
    this.#error = '';
    this.render();
  }

  async #choose(filter) {
    this.#filter = filter;
    this.#shown = SHOWN;
    await this.#try(() => this.lists.get(filter).reload());
  }

  async #showMore() {
    this.#shown += MORE;
    if (this.#shown > this.#matching().length && !this.#current.complete) {
      await this.#try(() => this.#current.more());
    }
    this.render();
  }

  async #try(work) {
    this.render();
    try {
      await work();
      this.#error = '';
    } catch (error) {
      this.#error = `Could not be read: ${error.message}.`;
    }
    this.render();
  }

  get #current() {
    return this.lists.get(this.#filter);
  }

  // All: what runs, however old, and then what ended.
  #graphs() {
    if (this.#filter) return this.#current.graphs();
    return [
      ...this.lists.get('running').graphs(),
      ...this.#current.graphs().filter((graph) => !isRunning(graph)),
    ];
  }

  #matching() {
    const graphs = this.#graphs();
    if (!this.#search) return graphs;
    return graphs.filter((graph) => graph.graphId === this.#search ||
        (graph.spec?.name ?? '').toLowerCase().includes(this.#search));
  }

  render() {
    const running = this.lists.get('running');
    for (const [state, button] of this.buttons) {
      const counted = state === 'running' && running.horizon !== Infinity;
      setText(button, !counted ? state || 'all'
          : `running ${formatCount(running.graphs().length)}${running.complete ? '' : '+'}`);
      setAttribute(button, 'aria-pressed', String(state === this.#filter));
    }
    const asked = this.#current.horizon !== Infinity;
    const matching = this.#matching();
    const shown = matching.slice(0, this.#shown);
    syncList(this.list, shown, (graph) => graph.graphId, graphRow);
    const older = !this.#current.complete && asked;
    setText(this.note, this.#error || (this.#search && older
        ? `found among the newest ${formatCount(this.#graphs().length)}` : ''));
    this.note.classList.toggle('error', this.#error !== '');
    this.empty.hidden = shown.length > 0;
    setText(this.empty, this.#emptyWords(asked));
    const hidden = matching.length - shown.length;
    this.more.hidden = hidden === 0 && !older;
    setText(this.more, hidden > 0
        ? `Show more (${formatCount(hidden)}${older ? ' and older ones' : ''} not shown)`
        : 'Show older graphs');
  }

  #emptyWords(asked) {
    if (!asked) return this.#error ? '' : 'Reading…';
    if (this.#search) return 'No graph has this in its name.';
    switch (this.#filter) {
      case '': return 'No graphs yet. Submit one with: kartograph submit FILE';
      case 'running': return 'No graph is running.';
      case 'cancelled': return 'No graph has been cancelled.';
      default: return `No graph has ${this.#filter}.`;
    }
  }
}

function graphRow(graph) {
  const state = stateMark(graphState(graph.state));
  const name = h('a', {class: 'name', href: graphHref(graph.graphId)});
  const id = h('span', {class: 'quiet'}, graph.graphId);
  const time = h('span', {class: 'time'});
  const bar = countsBar();
  const percent = h('span', {class: 'percent'});
  const counts = h('span', {class: 'counts'});
  let shown = null;
  return {
    node: h('li', {class: 'graph'}, state,
            h('div', {class: 'title'}, name, id), time,
            h('div', {class: 'progress'}, bar.node, percent), counts),
    update(changed) {
      if (changed === shown) return;
      shown = changed;
      updateStateMark(state, graphState(changed.state));
      setTitled(name, changed.spec?.name || changed.graphId);
      showGraphTime(time, changed);
      bar.update(changed.counts);
      setText(percent, progressWords(changed));
      setText(counts, graphCountsWords(changed));
    },
  };
}

// How much of a running graph is done; what has ended as a whole needs no percentage, and "100 %"
// beside a failure would mislead.
export function progressWords(graph) {
  if (!isRunning(graph)) return '';
  return `${percentDone(doneCount(graph.counts), Number(graph.counts?.total ?? 0))} %`;
}

function graphCountsWords(graph) {
  const total = Number(graph.counts?.total ?? 0);
  if (total === 0) return graph.spec?.open ? 'open, no tasks yet' : 'no tasks';
  const open = graph.spec?.open && isRunning(graph) ? ', open for more' : '';
  const all = `${formatCounted(total, 'task')} in all${open}`;
  return [...countsWords(graph.counts), all].join(' · ');
}

// How long a graph has run, or when it ended and how long it took.
export function showGraphTime(node, graph) {
  const begin = parseTime(graph.submitTime);
  const end = parseTime(graph.endTime);
  if (end === null || isRunning(graph)) {
    showElapsed(node, begin, 'for %');
  } else {
    showFixed(node, `ended ${formatMoment(end, now())}, took ${formatSpan(end - (begin ?? end))}`,
              `submitted ${begin === null ? '?' : formatExact(begin)}\nended ${formatExact(end)}`);
  }
}
