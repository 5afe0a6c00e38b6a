/** What the server of the view tells the page. */

import type { RingLimits } from './ring.ts';

/** As the functions count: `read + expanded = imported + rejected + dropped`. */
export type Counts = Record<'read' | 'expanded' | 'imported' | 'rejected' | 'dropped', number>;

/** An event that Mixpanel took. */
export interface ShownEvent {
  name: string;
  /** `time` as it stands in the properties, in milliseconds; null where it is no number. */
  time: number | null;
  /** `distinct_id`, as text. */
  user: string;
  /** Its JSON as it came, or the beginning of it. */
  json: string;
  /** How long the JSON is, in characters. */
  length: number;
  /** It had come before: Mixpanel drops one of the two. */
  isDuplicate: boolean;
  /** When it came, in milliseconds since the epoch. */
  receivedAt: number;
}

/** Characters of an event's JSON that are kept. */
export const MAX_JSON_LENGTH = 16_384;

/** What the server keeps of events, and the page too. */
export const EVENT_LIMITS: RingLimits<ShownEvent> = {
  maxItems: 100_000,
  maxWeight: 64_000_000,
  weightOf: ({ name, user, json }) => name.length + user.length + json.length,
};

/** Events with consecutive numbers. */
export interface EventsFrame {
  /** The number of the first. */
  from: number;
  events: ShownEvent[];
}

/** What the page holds is not what comes next: it begins anew. */
export interface ResetFrame {
  /** The number of the event that comes next. */
  from: number;
}

/** Where a file is. */
type FileState = 'waiting' | 'running' | 'deferred' | 'done' | 'gone' | 'skipped';

/** A file in the import bucket. */
export interface FileRow {
  name: string;
  generation: string;
  /** Bytes as stored. */
  size: number;
  state: FileState;
  /** Why it is deferred, or skipped. */
  detail: string;
  /** Bytes of the decoded content that are settled. */
  offset: number;
  isCompressed: boolean;
  counts: Counts;
  /** It is done, and every record of it was rejected. */
  isAllRejected: boolean;
}

/** Which files are listed: all, those that are not finished, or those with rejected records. */
export type FilesShown = 'all' | 'open' | 'rejected';

/** A part of the files that are kept and pass a filter. */
export interface FilePage {
  /** Files that pass the filter. */
  total: number;
  /** Those from the wanted one on, those that are not finished before the others, the newest first. */
  rows: FileRow[];
}

/** Files on a page of the list. */
export const FILES_PER_PAGE = 50;

/** What can be switched on at the local Mixpanel. */
export type SwitchName = 'credentials' | 'unavailable' | 'rateLimit' | 'slow' | 'small';

/** A function that can be killed. */
export type Target = 'importObject' | 'drainSubscription';

/** A process that serves a function. */
export interface FunctionState {
  isUp: boolean;
  pid: number;
  /** How often it was started again. */
  restarts: number;
}

/** A line of a function's log, without what is of no interest here. */
export interface LogEntry {
  at: number;
  target: Target | 'local cloud';
  severity: string;
  text: string;
}

/** Whether the counts add up: once nothing is under way, everything that came must have its outcome. */
export type Reconciliation = 'empty' | 'under way' | 'balanced' | 'unbalanced';

/** All that the page shows besides events and dead letters. */
export interface State {
  startedAt: number;
  files: Record<'uploaded' | 'waiting' | 'running' | 'deferred' | 'done' | 'lost' | 'skipped', number> & {
    /** Those that are imported now, the newest first. */
    current: FileRow[];
    /** Changes whenever a {@link FilePage} would be another one. */
    version: number;
  };
  messages: Record<'published' | 'waiting' | 'inFlight' | 'acknowledged' | 'drains', number>;
  functions: Record<Target, FunctionState>;
  mixpanel: {
    inFlight: number;
    requests: number;
    /** Answers by their status, 0 for none. */
    statuses: [status: number, count: number][];
    received: number;
    duplicates: number;
    last: { status: number; at: number } | null;
    /** Events in each of the last 60 seconds, the present one last; and requests that were not answered with 200 or 400. */
    perSecond: number[];
    failuresPerSecond: number[];
  };
  accounts: Record<'files' | 'messages' | 'replayed', Counts> & {
    /** What commands in a terminal sent, as Mixpanel answered them. */
    terminal: Counts;
    verdict: Reconciliation;
    /** What is under way, for people; empty where nothing is. */
    open: string;
    /** Messages that were acknowledged by a drain that crashed: its counts are not known. */
    unsaid: number;
  };
  switches: Record<SwitchName, boolean>;
  deadLetters: { version: number };
  log: LogEntry[];
}

/** What a mapping makes of what came last. */
export interface Trial {
  /** What is wrong with the mapping, each with its path in it; nothing if it can be used. */
  problems: readonly string[];
  /** Whether the functions have this mapping. */
  isInUse: boolean;
  records: TriedRecord[];
}

/** A record, and what becomes of it. */
export interface TriedRecord {
  /** Where it came from. */
  place: string;
  /** Its beginning, as JSON where it can be parsed. */
  record: string;
  outcome: 'sent' | 'left out' | 'rejected';
  /** The events, as JSON, or why there are none. */
  result: string;
}

/** Dead letters that have the same reason. */
export interface LetterGroup {
  reason: string;
  field: string;
  count: number;
  /** The newest of them. */
  letters: ShownLetter[];
}

/** A dead letter. */
export interface ShownLetter {
  message: string;
  /** Where the record stood. */
  place: string;
  rejectedAt: string;
  insertId: string;
  /** The beginning of the record. */
  record: string;
}
