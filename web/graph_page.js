// One graph: its progress, and its tasks with the reason why each does not run or how it ended.

import * as api from './api.js';
import {countsBar, stateMark, updateStateMark} from './bars.js';
import {now, showElapsed, showFixed, toServiceTime} from './clock.js';
import {h, Refresher, setAttribute, setText, setTitled, syncList} from './dom.js';
import {
  formatClock, formatConsumption, formatCount, formatCounted, formatExact, formatMoment,
  formatSpan, parseTime,
} from './format.js';
import {progressWords, showGraphTime} from './graphs.js';
import {graphHref, taskHref} from './routes.js';
import {attemptEnded, graphState, outcomeWords, TASK_STATES, taskState} from './states.js';
import {TaskView} from './task_view.js';

const PAGE = 100;
const MAX_PAGE = 1000;
const REFRESH_MS = 1000;

export class GraphPage {
  #route = null;
  #graph = null;
  #tasks = [];
  #token = '';
  #wanted = PAGE;   // how many tasks are asked for
  #readAt = null;   // when the shown tasks were asked for, browser's clock
  #error = '';
  #refresher = new Refresher(() => this.#read(), REFRESH_MS);

  constructor(root, store) {
    this.root = root;
    this.store = store;
    const find = (selector) => root.querySelector(selector);
    this.title = find('h1');
    this.id = find('.graph-id');
    this.state = stateMark(graphState(''));
    find('.graph-state').append(this.state);
    this.time = find('.graph-time');
    this.facts = find('.graph-facts');
    this.bar = countsBar();
    this.percent = h('span', {class: 'percent'});
    find('.progress').append(this.bar.node, this.percent);
    this.list = find('.rows');
    this.note = find('.tasks .note');
    this.empty = find('.tasks .empty');
    this.more = find('.tasks .more');
    this.more.addEventListener('click', () => this.#readMore());
    this.filters = new Map([{key: '', mark: ''}, ...TASK_STATES].map((state) => {
      const count = h('span', {class: 'count'});
      const link = h('a', {class: 'pill', 'data-state': state.key},
                     h('span', {class: 'mark', 'aria-hidden': 'true'}, state.mark),
                     h('span', {}, state.key || 'all'), count);
      return [state.key, {link, count}];
    }));
    find('.filters').append(...[...this.filters.values()].map(({link}) => link));
    this.taskView = new TaskView(find('.task-view'));
  }

  // Shows what `route` names; no graph: hides.
  show(route) {
    const before = this.#route;
    this.#route = route.graphId ? route : null;
    this.root.hidden = !this.#route;
    this.root.classList.toggle('with-task', route.task !== '');
    if (!this.#route) {
      this.taskView.show(null);
      return;
    }
    const changed = before?.graphId !== route.graphId || before?.state !== route.state;
    if (before?.graphId !== route.graphId) {
      this.#graph = this.store.get(route.graphId) ?? null;
      window.scrollTo(0, 0);
    }
    if (changed) {
      this.#tasks = [];
      this.#token = '';
      this.#wanted = PAGE;
      this.#readAt = null;
      this.#error = '';
    }
    this.taskView.show(route.task ? {...route, back: graphHref(route.graphId, route.state)} : null);
    this.render();
    if (before?.graphId !== route.graphId) this.title.focus({preventScroll: true});
    if (changed) this.#refresher.request();
  }

  // The page's graph, or '' where none is shown.
  get graphId() {
    return this.#route?.graphId ?? '';
  }

  // Something changed in the graph: reads again.
  refresh() {
    if (!this.#route) return Promise.resolve();
    return Promise.all([this.#refresher.request(), this.taskView.refresh()]);
  }

  async #read() {
    const route = this.#route;
    if (!route) return;
    const isCurrent = () => this.#route?.graphId === route.graphId &&
        this.#route.state === route.state;
    const asked = Date.now();
    const mark = this.store.mark();
    try {
      const [graph, tasks] =
          await Promise.all([api.getGraph(route.graphId), this.#readTasks(route)]);
      if (!isCurrent()) return;
      this.store.merge([graph], mark);
      this.#graph = graph;
      this.#tasks = tasks.tasks;
      this.#token = tasks.token;
      this.#readAt = asked;
      this.#error = '';
    } catch (error) {
      if (!isCurrent()) return;
      if (error.status === 404) {
        this.#graph = null;
        this.#tasks = [];
        this.#token = '';
        this.#error = `There is no graph ${route.graphId}: ${error.message}.`;
      } else {
        const shown = this.#readAt === null ? ''
            : ` Shown as of ${formatClock(toServiceTime(this.#readAt))}.`;
        this.#error = `The tasks could not be read (${error.message}).${shown}`;
      }
    }
    this.render();
  }

  // As many tasks as are wanted, over pages.
  async #readTasks({graphId, state}) {
    const tasks = [];
    let token = '';
    do {
      const answer = await api.listTasks(graphId, {
        state,
        pageSize: Math.min(MAX_PAGE, this.#wanted - tasks.length),
        pageToken: token,
      });
      tasks.push(...(answer.tasks ?? []));
      token = answer.nextPageToken ?? '';
    } while (token && tasks.length < this.#wanted);
    return {tasks, token};
  }

  async #readMore() {
    this.#wanted = this.#tasks.length + PAGE;
    this.more.disabled = true;
    await this.#refresher.request();
    this.more.disabled = false;
  }

  render() {
    const route = this.#route;
    if (!route) return;
    const graph = this.store.get(route.graphId) ?? this.#graph;
    setText(this.title, graph?.spec?.name || route.graphId);
    setText(this.id, route.graphId);
    this.state.hidden = !graph;
    if (graph) {
      updateStateMark(this.state, graphState(graph.state));
      showGraphTime(this.time, graph);
      setText(this.facts, graphFacts(graph, this.#graph?.expectedEndTime));
    } else {
      showFixed(this.time, '');
      setText(this.facts, '');
    }
    this.root.classList.toggle('missing', !graph && this.#error !== '');
    this.bar.update(graph?.counts);
    setText(this.percent, graph ? progressWords(graph) : '');
    for (const [key, {link, count}] of this.filters) {
      const counted = Number(graph?.counts?.[key || 'total'] ?? 0);
      setText(count, formatCount(counted));
      link.classList.toggle('zero', counted === 0);
      setAttribute(link, 'href', graphHref(route.graphId, key));
      setAttribute(link, 'aria-current', key === route.state ? 'true' : null);
    }
    syncList(this.list, this.#tasks, (task) => task.name, () => taskRow(() => this.#route));
    const total = Number(graph?.counts?.[route.state || 'total'] ?? 0);
    const extent = this.#readAt === null ? 'Reading…'
        : this.#token ? `the first ${formatCount(this.#tasks.length)} of ${formatCount(total)}`
                      : '';
    setText(this.note, this.#error || extent);
    this.note.classList.toggle('error', this.#error !== '');
    this.empty.hidden = this.#tasks.length > 0 || this.#readAt === null || this.#error !== '';
    setText(this.empty, route.state ? `No task of this graph is ${route.state}.`
                                    : 'This graph has no tasks yet.');
    this.more.hidden = !this.#token;
  }
}

// What is expected is known since the graph was read last: what is told of it meanwhile has none.
function graphFacts(graph, expectedEndTime) {
  const submitted = parseTime(graph.submitTime);
  const expected = graphState(graph.state).key === 'running' ? parseTime(expectedEndTime) : null;
  return [
    submitted === null
      ? '' : `submitted ${formatMoment(submitted, now())}${graph.user ? ` by ${graph.user}` : ''}`,
    expected === null ? '' : `expected to end at ${formatMoment(expected, now())}`,
    formatCounted(graph.counts?.total ?? 0, 'task'),
    graph.spec?.failFast ? 'ends at its first failure' : '',
    graph.spec?.open ? 'open for more tasks' : '',
    graph.spec?.clientQueue ? `delivers to the queue ${graph.spec.clientQueue}` : '',
  ].filter(Boolean).join(' · ');
}

function taskRow(route) {
  const state = stateMark(taskState(''));
  const name = h('a', {class: 'name'});
  const why = h('span', {class: 'why'});
  const use = h('span', {class: 'consumption'});
  const where = h('span', {class: 'agent'});
  const time = h('span', {class: 'time'});
  const node = h('li', {class: 'task'}, state, name, time, why, use, where);
  return {
    node,
    update(task) {
      const {graphId, state: filter, task: selected} = route();
      updateStateMark(state, taskState(task.state));
      setTitled(name, task.name);
      setAttribute(name, 'href', taskHref(graphId, task.name, filter));
      setAttribute(name, 'aria-current', task.name === selected ? 'true' : null);
      setTitled(why, whyWords(task));
      setTitled(use, formatConsumption(task.consumption));
      setTitled(where, whereWords(task));
      showTaskTime(time, task);
    },
  };
}

// Why a task does not run, or how it ended.
function whyWords(task) {
  if (task.reason) return task.reason;
  const last = task.attempts?.at(-1);
  return last && taskState(task.state).key === 'failed' ? outcomeWords(last) : '';
}

function whereWords(task) {
  const last = task.attempts?.at(-1);
  if (!last) return '';
  const tries = last.number > 1 ? `attempt ${last.number} on ` : 'on ';
  return tries + last.agent;
}

// How long the last attempt runs, or ran.
function showTaskTime(node, task) {
  const last = task.attempts?.at(-1);
  const begin = last ? parseTime(last.startTime) ?? parseTime(last.launchTime) : null;
  if (begin === null) showFixed(node, '');
  else if (!attemptEnded(last)) showElapsed(node, begin, 'for %');
  else {
    const end = parseTime(last.endTime) ?? begin;
    showFixed(node, formatSpan(end - begin), `${formatExact(begin)}\nto ${formatExact(end)}`);
  }
}
