// The cluster's panels: tasks by state, what runs where, pools, agents.

import {countsBar, stateMark, updateStateMark, useBar} from './bars.js';
import {now as shownTime, showElapsed} from './clock.js';
import {h, setText, setTitled, syncList} from './dom.js';
import {
  formatConsumption, formatCount, formatCounted, formatHost, formatMoment, parseTime,
  sortedResources,
} from './format.js';
import {TASK_STATES, taskState} from './states.js';
import {graphHref, taskHref} from './routes.js';

const RUNNING_SHOWN = 12;
const AGENTS_SHOWN = 8;
const HOLDERS_SHOWN = 3;
const MORE = 50;

// The order of the summary: what an operator asks first.
const SUMMARY = ['running', 'launching', 'ready', 'waiting', 'succeeded', 'failed', 'cancelled',
                 'skipped'];

export class SummaryPanel {
  constructor(root) {
    this.numbers = new Map();
    const list = root.querySelector('.numbers');
    for (const key of SUMMARY) {
      const state = TASK_STATES.find((one) => one.key === key);
      const count = h('dd', {}, '–');
      this.numbers.set(key, count);
      list.append(h('div', {'data-state': key}, h('dt', {}, stateMark(state)), count));
    }
    this.bar = countsBar();
    this.note = root.querySelector('.note');
    root.querySelector('.bar-place').append(this.bar.node);
  }

  update({counts}) {
    for (const [key, node] of this.numbers) {
      const count = Number(counts?.[key] ?? 0);
      setText(node, formatCount(count));
      node.parentElement.classList.toggle('zero', count === 0);
    }
    this.bar.update(counts);
    const total = Number(counts?.total ?? 0);
    setText(this.note, total === 0 ? 'No graph is running.'
                                   : `${formatCounted(total, 'task')} in graphs that are running`);
  }
}

export class RunningPanel {
  #shown = RUNNING_SHOWN;

  constructor(root) {
    this.list = root.querySelector('.rows');
    this.note = root.querySelector('.note');
    this.empty = root.querySelector('.empty');
    this.more = root.querySelector('.more');
    this.more.addEventListener('click', () => {
      this.#shown += MORE;
      this.update(this.cluster);
    });
  }

  update(cluster) {
    this.cluster = cluster;
    const running = cluster.running ?? [];
    const all = Math.max(running.length, Number(cluster.counts?.running ?? 0) +
                                             Number(cluster.counts?.launching ?? 0));
    setText(this.note, running.length === 0 ? ''
        : all > running.length ? `the oldest ${formatCount(running.length)} of ${formatCount(all)}`
                               : `${formatCounted(running.length, 'attempt')}, oldest first`);
    this.empty.hidden = running.length > 0;
    syncList(this.list, running.slice(0, this.#shown), (attempt) => attempt.attemptId, runningRow);
    this.more.hidden = running.length <= this.#shown;
    setText(this.more, `Show more (${formatCount(running.length - this.#shown)} not shown)`);
  }
}

function runningRow(attempt) {
  const state = stateMark(taskState(attempt.state));
  const task = h('a', {class: 'name', href: taskHref(attempt.graphId, attempt.taskName)});
  const graph = h('a', {class: 'quiet', href: graphHref(attempt.graphId)});
  const agent = h('span', {class: 'agent'});
  const use = h('span', {class: 'consumption'});
  const elapsed = h('span', {class: 'time'});
  const node = h('li', {class: 'running-row'}, state, h('div', {class: 'what'}, task, graph),
                 h('div', {class: 'where'}, agent, use), elapsed);
  return {
    node,
    update(now) {
      updateStateMark(state, taskState(now.state));
      setTitled(task, now.taskName);
      setTitled(graph, now.graphName || now.graphId);
      setTitled(agent, now.unreachableSince ? `${now.agent} (unreachable)` : now.agent);
      setTitled(use, formatConsumption(now.consumption));
      showElapsed(elapsed, parseTime(now.launchTime));
    },
  };
}

export class PoolsPanel {
  constructor(root) {
    this.list = root.querySelector('.rows');
    this.empty = root.querySelector('.empty');
  }

  update({pools = [], running = []}) {
    this.empty.hidden = pools.length > 0;
    const shown = pools.map((pool) => ({...pool, holders: holdersOf(pool.name, running)}));
    syncList(this.list, shown, (pool) => pool.name, poolRow);
  }
}

// The attempts that hold units of a pool, those that hold the most first.
function holdersOf(pool, running) {
  const units = (attempt) => Number(attempt.consumption?.[pool] ?? 0);
  return running.filter((attempt) => units(attempt) > 0)
      .map((attempt) => ({...attempt, units: units(attempt)}))
      .sort((a, b) => b.units - a.units);
}

function poolRow(pool) {
  const bar = useBar(pool.name);
  const waiting = h('span', {class: 'waiting'});
  const holders = h('ul', {class: 'holders'});
  const more = h('span', {class: 'quiet'});
  return {
    node: h('li', {class: 'pool'}, bar.node, holders, more, waiting),
    update(now) {
      bar.update(Number(now.used ?? 0), Number(now.capacity ?? 0));
      syncList(holders, now.holders.slice(0, HOLDERS_SHOWN), (holder) => holder.attemptId,
               holderRow);
      const left = now.holders.length - HOLDERS_SHOWN;
      setText(more, left > 0 ? `and ${formatCounted(left, 'other')}` : '');
      const count = Number(now.waitingTasks ?? 0);
      setText(waiting, count === 0 ? 'no task waits' : `${formatCounted(count, 'task')} ` +
                                                           `${count === 1 ? 'waits' : 'wait'}`);
      waiting.classList.toggle('some', count > 0);
    },
  };
}

function holderRow(holder) {
  const task = h('a', {class: 'name', href: taskHref(holder.graphId, holder.taskName)});
  const units = h('span', {class: 'consumption'});
  const elapsed = h('span', {class: 'time'});
  return {
    node: h('li', {class: 'holder'}, task, units, elapsed),
    update(now) {
      setTitled(task, now.taskName);
      setText(units, `holds ${formatCount(now.units)}`);
      showElapsed(elapsed, parseTime(now.launchTime));
    },
  };
}

export class AgentsPanel {
  #shown = AGENTS_SHOWN;

  constructor(root) {
    this.list = root.querySelector('.rows');
    this.note = root.querySelector('.note');
    this.empty = root.querySelector('.empty');
    this.more = root.querySelector('.more');
    this.more.addEventListener('click', () => {
      this.#shown += MORE;
      this.update(this.cluster);
    });
  }

  update(cluster) {
    this.cluster = cluster;
    const agents = [...(cluster.agents ?? [])].sort(
        (a, b) => Number(a.connected ?? false) - Number(b.connected ?? false) ||
            (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    const all = Math.max(agents.length, Number(cluster.agentCount ?? 0));
    const away = agents.filter((agent) => !agent.connected).length;
    setText(this.note,
            [
              all > agents.length ? `${formatCount(agents.length)} of ${formatCount(all)}`
              : all > 0           ? formatCount(all)
                                  : '',
              away > 0 ? `${formatCount(away)} unreachable` : '',
            ].filter(Boolean).join(', '));
    this.empty.hidden = agents.length > 0;
    const rows = agents.slice(0, this.#shown).map((agent) => ({key: `a ${agent.agentId}`, agent}));
    if (agents.length > 1 && all === agents.length) rows.unshift({key: 'all', agent: sum(agents)});
    syncList(this.list, rows, (row) => row.key, agentRow);
    this.more.hidden = agents.length <= this.#shown;
    setText(this.more, `Show more (${formatCount(agents.length - this.#shown)} not shown)`);
  }
}

// All agents as one.
export function sum(agents) {
  const total = {name: `All ${formatCount(agents.length)} agents`, connected: true, attempts: 0};
  for (const field of ['capacity', 'used']) {
    const sums = new Map();
    for (const agent of agents) {
      for (const [name, value] of Object.entries(agent[field] ?? {})) {
        sums.set(name, (sums.get(name) ?? 0) + Number(value));
      }
    }
    total[field] = Object.fromEntries(sums);
  }
  total.attempts = agents.reduce((attempts, agent) => attempts + Number(agent.attempts ?? 0), 0);
  return total;
}

function agentRow() {
  const name = h('span', {class: 'name'});
  const attempts = h('span', {class: 'quiet'});
  const away = h('span', {class: 'away'}, 'unreachable');
  const bars = h('div', {class: 'uses'});
  const host = h('div', {class: 'host'});
  return {
    node: h('li', {class: 'agent-row'}, h('div', {class: 'line'}, name, away, attempts), bars,
            host),
    update({agent}) {
      setTitled(name, agent.name || agent.agentId);
      away.hidden = Boolean(agent.connected);
      const count = Number(agent.attempts ?? 0);
      setText(attempts, count > 0         ? formatCounted(count, 'attempt')
                        : agent.closed ? 'not offered'
                        : agent.connected ? 'idle'
                                          : '');
      const goes = parseTime(agent.unavailableFrom);
      const silent = parseTime(agent.unreachableSince);
      const aside = parseTime(agent.setAsideUntil);
      setTitled(host, [
        silent === null ? '' : `has not answered since ${formatMoment(silent, shownTime())}`,
        agent.failure ? `${aside === null ? 'one attempt at a time'
            : `set aside until ${formatMoment(aside, shownTime())}`}: ${agent.failure}` : '',
        agent.closed ?? '',
        goes === null ? '' : `taken away ${formatMoment(goes, shownTime())}`,
        formatHost(agent.host),
        ...Object.entries(agent.attributes ?? {}).sort().map(([key, value]) => `${key}=${value}`),
      ].filter(Boolean).join(' · '));
      host.hidden = host.textContent === '';
      // What is used without being offered is shown as well: over is over.
      const capacity = {...agent.used, ...agent.capacity};
      syncList(bars, sortedResources(capacity).map(([resource]) => ({
        resource,
        used: Number(agent.used?.[resource] ?? 0),
        capacity: Number(agent.capacity?.[resource] ?? 0),
      })), (use) => use.resource, ({resource}) => {
        const bar = useBar(resource);
        return {node: bar.node, update: (use) => bar.update(use.used, use.capacity)};
      });
    },
  };
}
