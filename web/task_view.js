// One task: what it runs and needs, why it is as it is, its attempts and what they wrote.

import * as api from './api.js';
import {stateMark, updateStateMark} from './bars.js';
import {now, showElapsed, showFixed} from './clock.js';
import {h, Refresher, setAttribute, setText, setTitled, syncList} from './dom.js';
import {
  decodeBytes, formatBytes, formatCommand, formatConsumption, formatCount, formatExact,
  formatMoment, formatSetting, formatSpan, parseDuration, parseTime,
} from './format.js';
import {LogView} from './log_view.js';
import {taskHref} from './routes.js';
import {attemptEnded, attemptState, outcomeWords, taskState} from './states.js';

const REFRESH_MS = 1000;

export class TaskView {
  #route = null;
  #task = null;
  #error = '';
  #refresher = new Refresher(() => this.#read(), REFRESH_MS);

  constructor(root) {
    this.root = root;
    const find = (selector) => root.querySelector(selector);
    this.title = find('h2');
    this.back = find('.back');
    this.state = stateMark(taskState(''));
    find('.task-state').append(this.state);
    this.note = find('.note');
    this.reason = find('.reason');
    this.facts = find('.facts');
    this.attempts = find('.attempts');
    this.attemptsTable = find('.attempts-table');
    this.noAttempts = find('.no-attempts');
    this.log = new LogView(find('.log'));
  }

  // Shows the task of `route` ({graphId, task, state, back}); null: hides.
  show(route) {
    const changed = route?.graphId !== this.#route?.graphId || route?.task !== this.#route?.task;
    this.#route = route;
    this.root.hidden = !route;
    if (route) setAttribute(this.back, 'href', route.back);
    if (!changed) return;
    this.#task = null;
    this.#error = '';
    this.log.show(null);
    if (!route) return;
    this.#render();
    this.root.scrollIntoView({block: 'nearest'});
    this.title.focus({preventScroll: true});
    this.#refresher.request();
  }

  refresh() {
    return this.#route ? this.#refresher.request() : Promise.resolve();
  }

  async #read() {
    const route = this.#route;
    if (!route) return;
    const isCurrent = () => this.#route?.graphId === route.graphId &&
        this.#route.task === route.task;
    try {
      const task = await api.getTask(route.graphId, route.task);
      if (!isCurrent()) return;
      this.#task = task;
      this.#error = '';
    } catch (error) {
      if (!isCurrent()) return;
      if (error.status === 404) this.#task = null;
      this.#error = error.status === 404 ? `There is no such task: ${error.message}.`
                                         : `The task could not be read (${error.message}).`;
    }
    this.#render();
  }

  #render() {
    const task = this.#task;
    setText(this.title, this.#route.task);
    setText(this.note, this.#error || (task ? '' : 'Reading…'));
    this.note.classList.toggle('error', this.#error !== '');
    this.note.hidden = this.note.textContent === '';
    this.state.hidden = !task;
    if (task) updateStateMark(this.state, taskState(task.state));
    setText(this.reason, task?.reason ?? '');
    this.reason.hidden = !task?.reason;
    syncList(this.facts, task ? facts(task, this.#route) : [], (fact) => fact.label, factRow);
    const attempts = task?.attempts ?? [];
    this.attemptsTable.hidden = attempts.length === 0;
    this.noAttempts.hidden = !task || attempts.length > 0;
    syncList(this.attempts, [...attempts].reverse(), (attempt) => attempt.attemptId,
             (attempt) => this.#attemptRow(attempt));
    this.log.show(task && attempts.length > 0
        ? {graphId: task.graphId, task: task.name, attempts, failed: failed(task)} : null);
  }

  #attemptRow(attempt) {
    const state = stateMark(attemptState(attempt));
    const agent = h('span', {class: 'agent'});
    const began = h('span', {class: 'quiet'});
    const time = h('span', {class: 'time'});
    const usage = h('span', {class: 'usage'});
    const message = h('p', {class: 'reason'});
    const node = h('li', {class: 'attempt'},
                   h('span', {class: 'number'}, `${formatCount(attempt.number)}.`), state, agent,
                   began, time, usage, message);
    return {
      node,
      update: (changed) => {
        updateStateMark(state, {...attemptState(changed)});
        setText(state.lastChild, outcomeWords(changed));
        setTitled(agent, `on ${changed.agent}`);
        const launched = parseTime(changed.launchTime);
        const begin = parseTime(changed.startTime) ?? launched;
        showFixed(began, begin === null ? '' : formatMoment(begin, now()),
                  begin === null ? '' : formatExact(begin));
        const end = parseTime(changed.endTime);
        if (!attemptEnded(changed)) showElapsed(time, begin, 'for %');
        else showFixed(time, begin === null || end === null ? '' : formatSpan(end - begin));
        setText(usage, usageWords(changed.usage, this.#task?.consumption));
        setText(message, changed.message ?? '');
        message.hidden = !changed.message || changed.message === this.#task?.reason ||
            changed.message === `exited with status ${changed.exitStatus}`;
      },
    };
  }
}

const failed = (task) => ['failed', 'cancelled'].includes(taskState(task.state).key);

// "peak 1.2GiB · 2GiB declared · 3.1 s cpu".
function usageWords(usage, consumption) {
  if (!usage) return '';
  const peak = Number(usage.peakRamBytes ?? 0);
  const declared = Number(consumption?.ram ?? 0);
  const cpu = parseDuration(usage.cpuTime);
  return [
    peak > 0 ? `peak ${formatBytes(peak)}` : '',
    peak > 0 && declared > 0 ? `${formatBytes(declared)} declared` : '',
    cpu === null ? '' : `${formatSpan(cpu)} cpu`,
  ].filter(Boolean).join(' · ');
}

// What is known of a task as [{label, text}] or [{label, links}], without what was left at its
// default.
function facts(task, route) {
  const spec = task.spec ?? {};
  const all = [];
  const add = (label, text, kind = '') => { if (text) all.push({label, text, kind}); };
  add('runs', formatCommand(spec.command), 'code');
  add('in', spec.command?.directory, 'code');
  // Of the last attempt, as in `kartograph status`.
  add('sandbox', task.attempts?.at(-1)?.sandbox, 'code');
  add('with', Object.entries(spec.command?.environment ?? {}).sort()
                  .map(([name, value]) => `${name}=${value}`).join('\n'), 'code');
  if (spec.container) {
    add('container', [
      spec.container.image || "the host's file system",
      ...(spec.container.volumes ?? []).map((volume) =>
          `${volume.hostPath} at ${volume.containerPath}${volume.readOnly ? ', read only' : ''}`),
    ].join('\n'), 'code');
  }
  add('consumes', formatConsumption(task.consumption ?? spec.consumption));
  if (spec.after?.length) {
    all.push({
      label: 'after',
      links: spec.after.map((name) => ({name, href: taskHref(task.graphId, name, route.state)})),
    });
  }
  const timeout = parseDuration(spec.timeout);
  add('limit', timeout === null ? '' : formatSetting(timeout));
  const unreachable = parseDuration(spec.unreachableTimeout);
  add('given up', unreachable === null ? '' : `after ${formatSetting(unreachable)} unreachable`);
  if (spec.maxAttempts > 1) {
    const wait = parseDuration(spec.retryDelay);
    add('tries', `at most ${formatCount(spec.maxAttempts)}` +
        (wait === null ? '' : `, ${formatSetting(wait)} before the second, doubling`));
  }
  add('priority', spec.priority ? String(spec.priority) : '');
  if (task.returnValue) {
    const {size, text} = decodeBytes(task.returnValue);
    add('returned', text !== null && size <= 4096 ? text : `${formatBytes(size)}`, 'code');
  }
  return all;
}

const AFTER_SHOWN = 20;

function factRow() {
  const label = h('dt');
  const value = h('dd');
  let shown = '';
  return {
    node: h('div', {}, label, value),
    update(fact) {
      const key = JSON.stringify(fact);
      if (key === shown) return;
      shown = key;
      setText(label, fact.label);
      if (!fact.links) {
        value.className = fact.kind;
        setText(value, fact.text);
        return;
      }
      const links = fact.links.slice(0, AFTER_SHOWN).flatMap(
          ({name, href}, index) => [index ? ', ' : '', h('a', {href}, name)]);
      const rest = fact.links.length - AFTER_SHOWN;
      value.replaceChildren(...links, rest > 0 ? ` and ${formatCount(rest)} more` : '');
    },
  };
}
