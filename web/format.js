// How numbers, quantities and times are written on the page. Pure functions, no DOM.

const number = new Intl.NumberFormat('en-GB', {maximumFractionDigits: 3});

export function formatCount(value) {
  return number.format(Number(value ?? 0));
}

// "1 task", "1,200 tasks".
export function formatCounted(value, singular, plural = `${singular}s`) {
  return `${formatCount(value)} ${Number(value) === 1 ? singular : plural}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

// As the command line writes it: the largest binary unit that keeps the number at 1 or above, with
// at most one decimal: 536870912 is "512MiB".
export function formatBytes(bytes) {
  let value = Number(bytes ?? 0);
  if (!Number.isFinite(value)) return `${bytes} bytes`;
  let unit = 0;
  // What would read as 1024 of a unit is 1 of the next.
  while (value / 1024 >= 0.99995 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1).replace(/\.0$/, '')}${BYTE_UNITS[unit]}`;
}

// A quantity of a resource with its unit: "2 cores", "512MiB", "3 db_connections".
export function formatQuantity(resource, value) {
  if (resource === 'ram' || resource === 'disk') return formatBytes(value);
  if (resource === 'cpu') return formatCounted(value, 'core');
  return `${formatCount(value)} ${resource}`;
}

// "1.5 of 2 cores", "256MiB of 1GiB", "2 of 4". The name of any other resource stands beside.
export function formatUse(resource, used, capacity) {
  if (resource === 'ram' || resource === 'disk') return `${formatBytes(used)} of ${formatBytes(capacity)}`;
  if (resource === 'cpu') return `${formatCount(used)} of ${formatCounted(capacity, 'core')}`;
  return `${formatCount(used)} of ${formatCount(capacity)}`;
}

// cpu and ram first, then by name: [[name, value], ...].
export function sortedResources(quantities) {
  const rank = (name) => (name === 'cpu' ? 0 : name === 'ram' ? 1 : 2);
  return Object.entries(quantities ?? {}).sort(
      ([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0));
}

// "1 core · 512MiB · 1 db_connections"; what is not consumed is left out.
export function formatConsumption(quantities) {
  return sortedResources(quantities)
      .filter(([, value]) => Number(value) !== 0)
      .map(([name, value]) => formatQuantity(name, value))
      .join(' · ');
}

// What a host reported about itself: "31% busy · load 2.5 of 8 cores · 3.2GiB ram free".
export function formatHost(host) {
  if (!host) return '';
  const parts = [];
  if (host.cpuBusy !== undefined) parts.push(`${Math.round(host.cpuBusy * 100)}% busy`);
  parts.push(`load ${formatCount(Number(host.load ?? 0).toFixed(1))} of ` +
             formatCounted(host.cpus ?? 0, 'core'));
  if (Number(host.ramBytes ?? 0) > 0) parts.push(`${formatBytes(host.ramAvailableBytes)} ram free`);
  if (Number(host.diskBytes ?? 0) > 0) parts.push(`${formatBytes(host.diskFreeBytes)} disk free`);
  if (host.receivedBytesPerSecond !== undefined && host.sentBytesPerSecond !== undefined) {
    parts.push(`${formatBytes(host.receivedBytesPerSecond)}/s in, ` +
               `${formatBytes(host.sentBytesPerSecond)}/s out`);
  }
  return parts.join(' · ');
}

// Whole percent, rounded down: 100 only when all is done, and 0 only when nothing is.
export function percentDone(done, total) {
  if (!(total > 0)) return 0;
  const percent = Math.floor((done / total) * 100);
  return done > 0 && percent === 0 ? 1 : percent;
}

// Milliseconds of a protobuf JSON Timestamp; null where there is none.
export function parseTime(timestamp) {
  if (!timestamp) return null;
  const time = Date.parse(timestamp);
  return Number.isNaN(time) ? null : time;
}

// Milliseconds of a protobuf JSON Duration ("1.500s"); null where there is none.
export function parseDuration(duration) {
  if (typeof duration !== 'string' || !duration.endsWith('s')) return null;
  const seconds = Number(duration.slice(0, -1));
  return Number.isFinite(seconds) ? seconds * 1000 : null;
}

const two = (value) => String(value).padStart(2, '0');

// Whole seconds, for a span that still grows: "12 s", "3 min 04 s", "2 h 05 min", "3 d 04 h".
export function formatElapsed(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

// A span that has ended, as the command line writes it: to a tenth below ten seconds ("4.2 s"),
// rounded.
export function formatSpan(ms) {
  if (!(ms > 0)) return '0.0 s';
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  return formatElapsed(ms + 500);
}

// A setting, as a graph file gives it: "10ms", "1.5s", "5m", "1h30m".
export function formatSetting(ms) {
  if (!(ms > 0)) return '0s';
  const rest = ms % 60000;
  let text = '';
  let minutes = Math.floor(ms / 60000);
  for (const [unit, length] of [['d', 1440], ['h', 60], ['m', 1]]) {
    if (minutes >= length) text += `${Math.floor(minutes / length)}${unit}`;
    minutes %= length;
  }
  if (rest === 0) return text;
  const fine = text === '' && rest < 1000;
  return `${text}${Number((fine ? rest : rest / 1000).toFixed(fine ? 3 : 6))}${fine ? 'ms' : 's'}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// The time of day in the browser's zone.
export function formatClock(ms) {
  const time = new Date(ms);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

// The time of day, with the date where it is not the day of `now`, and the year where it differs.
export function formatMoment(ms, now) {
  const time = new Date(ms);
  const today = new Date(now);
  if (time.toDateString() === today.toDateString()) return formatClock(ms);
  const day = `${time.getDate()} ${MONTHS[time.getMonth()]}`;
  const year = time.getFullYear() === today.getFullYear() ? '' : ` ${time.getFullYear()}`;
  return `${day}${year} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

// "UTC+02:00".
export function zoneName(ms) {
  const offset = -new Date(ms).getTimezoneOffset();
  if (offset === 0) return 'UTC';
  const size = Math.abs(offset);
  return `UTC${offset < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

// Everything about one instant, for a tooltip.
export function formatExact(ms) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${formatClock(ms)}.` +
      `${String(t.getMilliseconds()).padStart(3, '0')} ${zoneName(ms)}`;
}

// What a person would type: arguments in quotes where a shell would need them.
export function formatCommand(command) {
  if (!command) return '';
  const {shell = '', arguments: words = []} = command;
  if (words.length === 0) return shell;
  return (shell ? [...words, shell] : words)
      .map((word) => /^[\w@%+=:,.\/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ');
}

// Bytes of protobuf JSON (base64): {size, text}, where text is null unless it is printable UTF-8.
export function decodeBytes(base64) {
  const binary = atob(base64 ?? '');
  const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  let text = null;
  try {
    text = new TextDecoder('utf-8', {fatal: true}).decode(bytes);
    if (/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text)) text = null;
  } catch {
    // Not text.
  }
  return {size: bytes.length, text};
}

// A log as it is shown: without the terminal's colour codes, and after a cut from whole lines on.
export function cleanLog(text, cut) {
  if (cut) {
    const line = text.indexOf('\n');
    if (line >= 0 && line < text.length - 1) text = text.slice(line + 1);
  }
  return text.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '');
}

// The last `count` lines: {text, hidden} with the number of lines left out.
export function lastLines(text, count) {
  const lines = text.replace(/\n+$/, '').split('\n');
  const hidden = Math.max(0, lines.length - count);
  return {text: lines.slice(hidden).join('\n'), hidden};
}
