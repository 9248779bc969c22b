// Addresses within the page, so that what is shown can be sent to a colleague:
//   #/                                    everything
//   #/graphs/g17                          one graph, ?state=failed for some of its tasks
//   #/graphs/g17/tasks/decode             one task of it

export function graphHref(graphId, state = '') {
  return `#/graphs/${encodeURIComponent(graphId)}${stateQuery(state)}`;
}

export function taskHref(graphId, task, state = '') {
  return `#/graphs/${encodeURIComponent(graphId)}/tasks/${encodeURIComponent(task)}` +
      stateQuery(state);
}

function stateQuery(state) {
  return state ? `?state=${encodeURIComponent(state)}` : '';
}

// {graphId, task, state}: empty strings where the address names none.
export function parseRoute(hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split('?');
  const [, graphs, graphId = '', tasks, task = ''] = path.split('/');
  const route = {graphId: '', task: '', state: ''};
  try {
    if (graphs === 'graphs') route.graphId = decodeURIComponent(graphId);
    if (route.graphId && tasks === 'tasks') route.task = decodeURIComponent(task);
  } catch {
    return {graphId: '', task: '', state: ''};
  }
  if (route.graphId) route.state = new URLSearchParams(query).get('state') ?? '';
  return route;
}
