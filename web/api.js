// The service's HTTP API: one function for each question. Answers are the contract's messages in
// protobuf's JSON mapping.

const TIMEOUT_MS = 15000;

class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;  // HTTP status; 0 where there was no answer
  }
}

// Called with every answer: (Date header or null, when asked, when answered), browser's clock.
let onAnswer = () => {};
export function setAnswerListener(listener) {
  onAnswer = listener;
}

function withQuery(path, query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== '' && value !== undefined && value !== null) parameters.set(name, value);
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

async function request(path) {
  const asked = Date.now();
  let response;
  let body;
  try {
    response = await fetch(path, {cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS)});
    body = await response.arrayBuffer();
  } catch (error) {
    const why = error.name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s`
                                              : 'the service cannot be reached';
    throw new ApiError(why, 0);
  }
  onAnswer(response.headers.get('Date'), asked, Date.now());
  if (!response.ok) throw new ApiError(errorMessage(body, response), response.status);
  return {response, body};
}

function errorMessage(body, response) {
  const text = new TextDecoder().decode(body).trim();
  try {
    const {error} = JSON.parse(text);
    if (error?.message) return error.message;
  } catch {
    // Not JSON: the text itself.
  }
  return text.slice(0, 500) || `HTTP status ${response.status}`;
}

async function requestJson(path) {
  const {body} = await request(path);
  return JSON.parse(new TextDecoder().decode(body));
}

const graphPath = (graphId) => `/api/v1/graphs/${encodeURIComponent(graphId)}`;

export function listGraphs({state = '', pageSize = 100, pageToken = ''} = {}) {
  return requestJson(withQuery('/api/v1/graphs',
                               {state, page_size: pageSize, page_token: pageToken}));
}

// With when it is expected to end, where that can be told.
export function getGraph(graphId) {
  return requestJson(withQuery(graphPath(graphId), {expect_end: 'true'}));
}

export function listTasks(graphId, {state = '', pageSize = 100, pageToken = ''} = {}) {
  return requestJson(withQuery(`${graphPath(graphId)}/tasks`,
                               {state, page_size: pageSize, page_token: pageToken, full: 'true'}));
}

export function getTask(graphId, name) {
  return requestJson(withQuery(`${graphPath(graphId)}/task`, {name}));
}

export function listFailures(maxFailures) {
  return requestJson(withQuery('/api/v1/failures', {max_failures: maxFailures}));
}

export function getCluster() {
  return requestJson('/api/v1/cluster');
}

// The address of what an attempt wrote; a negative offset counts bytes before the end.
export function logUrl(graphId, task, {attempt, stream, offset}) {
  return withQuery(`${graphPath(graphId)}/log`, {task, attempt, stream, offset});
}

// The last `maxBytes` of what an attempt wrote: {text, cut}.
export async function readLogEnd(graphId, task, {attempt, stream, maxBytes}) {
  const {response, body} =
      await request(logUrl(graphId, task, {attempt, stream, offset: -maxBytes}));
  const begin = Number(response.headers.get('X-Kartograph-Offset') ?? 0);
  return {text: new TextDecoder().decode(body), cut: begin > 0};
}
