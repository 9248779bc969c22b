// The two bars of the page: how far tasks are, and how much of a resource is in use.

import {h, setAttribute, setText} from './dom.js';
import {formatCount, formatUse} from './format.js';
import {TASK_STATES} from './states.js';

export function stateMark(state) {
  const mark = h('span', {class: 'mark', 'aria-hidden': 'true'}, state.mark);
  const word = h('span', {class: 'word'}, state.key);
  return h('span', {class: 'state', 'data-state': state.key}, mark, word);
}

export function updateStateMark(node, state) {
  if (node.dataset.state === state.key && node.lastChild.textContent === state.key) return;
  node.dataset.state = state.key;
  setText(node.firstChild, state.mark);
  setText(node.lastChild, state.key);
}

// "212 succeeded, 4 running": in the bar's order, without zeros.
export function countsWords(counts) {
  return TASK_STATES.filter((state) => Number(counts?.[state.key] ?? 0) > 0)
      .map((state) => `${formatCount(counts[state.key])} ${state.key}`);
}

// {node, update(counts)}: a bar with one part for each state.
export function countsBar() {
  const parts = new Map(TASK_STATES.map(
      (state) => [state.key, h('span', {class: 'part', 'data-state': state.key})]));
  const node = h('div', {class: 'bar', role: 'img'}, ...parts.values());
  return {
    node,
    update(counts) {
      for (const [key, part] of parts) {
        const count = Number(counts?.[key] ?? 0);
        part.hidden = count === 0;
        part.style.flexGrow = count;
      }
      const words = countsWords(counts).join(', ');
      setAttribute(node, 'aria-label', words || 'no tasks');
    },
  };
}

// {node, update(used, capacity)}: a resource by name with its use, as bar and in words.
export function useBar(resource) {
  const fill = h('span', {class: 'fill'});
  const words = h('span', {class: 'amount'});
  const bar = h('div', {class: 'use-bar', 'aria-hidden': 'true'}, fill);
  const node = h('div', {class: 'use'},
                 h('span', {class: 'resource', title: resource}, resource), bar, words);
  return {
    node,
    update(used, capacity) {
      const share = capacity > 0 ? used / capacity : used > 0 ? 1 : 0;
      fill.style.width = `${Math.min(100, share * 100)}%`;
      node.dataset.level = share > 1 ? 'over' : share >= 0.999 ? 'full' : 'some';
      setText(words, formatUse(resource, used, capacity) + (share > 1 ? ', over' : ''));
    },
  };
}
