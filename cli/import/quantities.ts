/** Writes counts, sizes and times the way people read them. */

const integers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `1,234,567` */
export function formatCount(count: number): string {
  return integers.format(count);
}

/** `2 events`, and `1 event`; `noun` takes an s. */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `12.3 MB`, in powers of 1,000. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? integers.format(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(ms: number): string {
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  return `${formatCount(Math.floor(minutes / 60))} h ${pad(minutes % 60)} min`;
}

/** As {@link formatDuration}, but in whole seconds, which do not flicker while they are counted down. */
export function formatTimeLeft(ms: number): string {
  return ms < 9_950 ? `${Math.max(1, Math.ceil(ms / 1_000))} s` : formatDuration(ms);
}

function pad(number: number): string {
  return String(number).padStart(2, '0');
}
