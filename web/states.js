// The vocabulary of states: key, word, and a mark of its own shape, so that colour says nothing
// alone.

// In the order of a progress bar: what has ended, then what is nearest to its end.
export const TASK_STATES = [
  {name: 'TASK_STATE_SUCCEEDED', key: 'succeeded', mark: '✓'},
  {name: 'TASK_STATE_FAILED', key: 'failed', mark: '✕'},
  {name: 'TASK_STATE_CANCELLED', key: 'cancelled', mark: '⊘'},
  {name: 'TASK_STATE_SKIPPED', key: 'skipped', mark: '↷'},
  {name: 'TASK_STATE_RUNNING', key: 'running', mark: '►'},
  {name: 'TASK_STATE_LAUNCHING', key: 'launching', mark: '▷'},
  {name: 'TASK_STATE_READY', key: 'ready', mark: '◆'},
  {name: 'TASK_STATE_WAITING', key: 'waiting', mark: '○'},
];

const UNKNOWN = {name: '', key: 'unknown', mark: '?'};
const taskStates = new Map(TASK_STATES.map((state) => [state.name, state]));
const graphStates = new Map(
    ['running', 'succeeded', 'failed', 'cancelled'].map((key) => [
      `GRAPH_STATE_${key.toUpperCase()}`,
      TASK_STATES.find((state) => state.key === key),
    ]));

export function taskState(name) {
  return taskStates.get(name) ?? UNKNOWN;
}

export function graphState(name) {
  return graphStates.get(name) ?? UNKNOWN;
}

// How many tasks are done: have succeeded, as on the command line.
export function doneCount(counts) {
  return Number(counts?.succeeded ?? 0);
}

const SIGNALS = new Map([
  [1, 'SIGHUP'], [2, 'SIGINT'], [3, 'SIGQUIT'], [4, 'SIGILL'], [6, 'SIGABRT'], [7, 'SIGBUS'],
  [8, 'SIGFPE'], [9, 'SIGKILL'], [11, 'SIGSEGV'], [13, 'SIGPIPE'], [14, 'SIGALRM'], [15, 'SIGTERM'],
]);

// How an attempt ended, in words; for one that has not, its state.
export function outcomeWords(attempt) {
  switch (attempt.outcome) {
    case undefined:
    case 'OUTCOME_UNSPECIFIED':
      return attempt.unreachableSince ? 'unreachable' : taskState(attempt.state).key;
    case 'OUTCOME_EXITED':
      return `exit status ${attempt.exitStatus}`;
    case 'OUTCOME_SIGNALLED': {
      const name = SIGNALS.get(attempt.signal);
      return name ? `ended by ${name}` : `ended by signal ${attempt.signal}`;
    }
    default:
      return attempt.outcome.replace('OUTCOME_', '').replaceAll('_', ' ').toLowerCase();
  }
}

// The state an attempt is painted in.
export function attemptState(attempt) {
  switch (attempt.outcome) {
    case undefined:
    case 'OUTCOME_UNSPECIFIED':
      return taskState(attempt.state);
    case 'OUTCOME_SUCCEEDED':
      return taskState('TASK_STATE_SUCCEEDED');
    case 'OUTCOME_CANCELLED':
    case 'OUTCOME_LOST':
    case 'OUTCOME_REFUSED':
    case 'OUTCOME_DROPPED':
    case 'OUTCOME_GONE':
    case 'OUTCOME_UNREACHABLE':
    case 'OUTCOME_AGENT_FAILED':
    case 'OUTCOME_PREEMPTED':
      return taskState('TASK_STATE_CANCELLED');
    default:
      return taskState('TASK_STATE_FAILED');
  }
}

export function attemptEnded(attempt) {
  return Boolean(attempt.outcome) && attempt.outcome !== 'OUTCOME_UNSPECIFIED';
}
