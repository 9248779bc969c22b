// How numbers, quantities and times are written on the page. Pure functions, no DOM.

const number = new Intl.NumberFormat('en-GB', {maximumFractionDigits: 3});

export function formatCount(value) {
  return number.format(Number(value ?? 0));
}

// "1 task", "1,200 tasks".
export function formatCounted(value, singular, plural = `${singular}s`) {
  return `${formatCount(value)} ${Number(value) === 1 ? singular : plural}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

// Three significant digits, binary units: 536870912 is "512 MiB".
export function formatBytes(bytes) {
  let value = Number(bytes ?? 0);
  if (!Number.isFinite(value)) return `${bytes} bytes`;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  // 1023.7 MiB would be written "1024 MiB".
  if (Math.round(Math.abs(value)) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${number.format(Number(value.toFixed(digits)))} ${BYTE_UNITS[unit]}`;
}

// A quantity of a resource with its unit: "2 cores", "512 MiB", "3 db_connections".
export function formatQuantity(resource, value) {
  if (resource === 'ram' || resource === 'disk') return formatBytes(value);
  if (resource === 'cpu') return formatCounted(value, 'core');
  return `${formatCount(value)} ${resource}`;
}

// "1.5 of 2 cores", "256 MiB of 1 GiB", "2 of 4". The name of any other resource stands beside.
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

// "1 core · 512 MiB · 1 db_connections"; what is not consumed is left out.
export function formatConsumption(quantities) {
  return sortedResources(quantities)
      .filter(([, value]) => Number(value) !== 0)
      .map(([name, value]) => formatQuantity(name, value))
      .join(' · ');
}

// What a host reported about itself: "31% busy · load 2.5 of 8 cores · 3.2 GiB ram free".
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

// Whole seconds, for a span that still grows: "12s", "3m 04s", "2h 05m", "3d 4h".
export function formatElapsed(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

// A span that has ended: finer below ten seconds ("42ms", "4.2s"), and without zeros ("10m").
export function formatSpan(ms) {
  if (!(ms > 0)) return '0s';
  if (ms < 1000) return `${Math.max(1, Math.floor(ms))}ms`;
  if (ms < 10000) return `${Math.floor(ms / 100) / 10}s`;
  return formatElapsed(ms).replace(/ 0+[smh]$/, '');
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
  if (command.shell) return command.shell;
  return (command.arguments ?? [])
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
