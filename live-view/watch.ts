/** Watches the local cloud: gathers from its servers, and from what the functions log, where everything is. */

import { addCounts, type Counts, isBalanced, noCounts } from '../functions/core/block.ts';
import { parseCheckpoint } from '../functions/storage/checkpoint.ts';
import { type LocalCloud, NAMES, TERMINAL_USERNAME } from '../local-cloud/cloud.ts';
import type { ServedFunction } from '../local-cloud/served-function.ts';
import { createEventLog, type EventLog, toShownEvent } from './event-log.ts';
import { type FileLine, Files, sumOf } from './files.ts';
import type { FunctionState, LogEntry, Reconciliation, State, Target } from './page/frames.ts';
import { createRate } from './rates.ts';
import { Recent } from './recent.ts';
import { newStreamId } from './stream.ts';
import { createSwitches, faultOf } from './switches.ts';

/** Lines of the log that are kept. */
const MAX_LOG = 100;
/** A checkpoint is far smaller; anybody can upload something else under such a name. */
const MAX_CHECKPOINT_BYTES = 1_000_000;

/** A line that a function logs. */
interface Line extends FileLine, Partial<Counts> {
  severity?: string;
  error?: string;
  messages?: number;
  durationMs?: number;
}

/** Watches from its start on; {@link Watch.observe} begins once the cloud is up. */
export class Watch {
  readonly log: EventLog = createEventLog();
  readonly id = newStreamId();
  readonly switches = createSwitches();
  /** What came last. */
  readonly recent = new Recent();
  /** What became of dead letters that were replayed. */
  readonly replayed = noCounts();
  /** What commands in a terminal sent. */
  readonly #sentByTerminal = noCounts();
  /** Replays that are under way. */
  replaying = 0;
  /** Whether drainSubscription has been called and has not answered. */
  isDraining = false;
  readonly #startedAt = Date.now();
  readonly files = new Files();
  readonly #drained = { ...noCounts(), drains: 0, messages: 0 };
  readonly #functions = new Map<Target, FunctionState>();
  readonly #statuses = new Map<number, number>();
  readonly #events = createRate(Date.now);
  readonly #failures = createRate(Date.now);
  readonly #checkpoints = new Set<string>();
  readonly #lines: LogEntry[] = [];
  #published = 0;
  #last: State['mixpanel']['last'] = null;
  #letterChanges = 0;
  #cloud: LocalCloud | undefined;

  /** Listens to the servers from now on, and has the switches decide what goes wrong. */
  observe(cloud: LocalCloud): void {
    this.#cloud = cloud;
    const { mixpanel, storage, pubsub } = cloud;
    mixpanel.fault = faultOf(this.switches);
    mixpanel.on('event', (event, isDuplicate) => {
      this.log.push(toShownEvent(event, isDuplicate));
      this.#events.add(1);
    });
    mixpanel.on('request', ({ status, events, accepted, username }) => {
      this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
      this.#last = { status, at: Date.now() };
      if (status !== 200 && status !== 400) this.#failures.add(1);
      else if (username === TERMINAL_USERNAME) {
        const counts = { read: events, imported: accepted, rejected: events - accepted };
        addCounts(this.#sentByTerminal, { ...noCounts(), ...counts });
      }
    });
    pubsub.on('publish', ({ topic, messages }) => {
      if (topic !== NAMES.eventTopic) return;
      this.#published += messages.length;
      this.recent.addMessages(messages);
    });
    storage.on('finalize', (object) => {
      if (object.bucket === NAMES.importBucket) {
        this.files.add(object);
        this.recent.addObject(object);
      } else if (object.name.startsWith('checkpoints/')) this.#checkpoints.add(object.name);
      else this.lettersChanged();
    });
    storage.on('request', ({ kind, bucket }) => {
      if (kind === 'delete' && bucket === NAMES.stateBucket) this.lettersChanged();
    });
  }

  /** Dead letters came, or went. */
  lettersChanged(): void {
    this.#letterChanges++;
  }

  /** A function has printed a line. */
  line(target: Target, text: string): void {
    const line = parse(text);
    // A function that cannot be started says why in words that are not its log's.
    if (line === undefined && /^\w*Error\b/.test(text)) this.#add(target, 'ERROR', text);
    if (line?.message === undefined || line.message === 'function started') return;
    this.#add(target, line.severity ?? 'INFO', describe(line));
    if (line.message === 'subscription drained') {
      this.#drained.drains++;
      this.#drained.messages += line.messages ?? 0;
      addCounts(this.#drained, { ...noCounts(), ...line });
    } else {
      // Its checkpoint was written before it said so.
      this.#readCheckpoints();
      this.files.tell(line);
    }
  }

  /** Something else has happened that the reader of the log should know. */
  say(text: string, severity: 'INFO' | 'ERROR' = 'INFO'): void {
    this.#add('local cloud', severity, text);
  }

  /** What the page shows; to be asked a few times a second. */
  state(): State {
    const { mixpanel, pubsub } = this.#cloud!;
    this.#readCheckpoints();
    const functions = this.#functionStates();
    const { waiting, outstanding: inFlight, acked: acknowledged } = pubsub.backlog(NAMES.eventSubscription);
    const messages = { published: this.#published, waiting, inFlight, acknowledged, drains: this.#drained.drains };
    const files = this.files.state();
    return {
      startedAt: this.#startedAt,
      files,
      messages,
      functions,
      mixpanel: {
        inFlight: mixpanel.inFlight,
        requests: [...this.#statuses.values()].reduce((sum, count) => sum + count, 0),
        statuses: [...this.#statuses].sort(([a], [b]) => a - b),
        received: mixpanel.received,
        duplicates: mixpanel.duplicates,
        last: this.#last,
        perSecond: this.#events.last(),
        failuresPerSecond: this.#failures.last(),
      },
      accounts: this.#accounts(files, messages),
      switches: this.switches,
      deadLetters: { version: this.#letterChanges },
      log: this.#lines,
    };
  }

  #add(target: LogEntry['target'], severity: string, text: string): void {
    this.#lines.push({ at: Date.now(), target, severity, text });
    if (this.#lines.length > MAX_LOG) this.#lines.shift();
  }

  #accounts(files: State['files'], messages: State['messages']): State['accounts'] {
    const { drains: _, messages: said, ...drained } = this.#drained;
    const parts = { files: { ...this.files.counts }, messages: drained, replayed: { ...this.replayed } };
    const openFiles = files.waiting + files.running + files.deferred;
    const openMessages = messages.waiting + messages.inFlight;
    const open = [
      openFiles > 0 ? `${openFiles} ${openFiles === 1 ? 'file' : 'files'}` : '',
      openMessages > 0 ? `${openMessages} ${openMessages === 1 ? 'message' : 'messages'}` : '',
      this.isDraining && openMessages === 0 ? 'a drain' : '',
      this.replaying > 0 ? 'a replay' : '',
    ].filter(Boolean);
    const total = sumOf(...Object.values(parts));
    const isRight =
      Object.values(parts).every(isBalanced) &&
      messages.published === messages.acknowledged &&
      // The counts of the functions, against those of the server that they sent to.
      total.imported <= this.#cloud!.mixpanel.received - this.#sentByTerminal.imported;
    let verdict: Reconciliation = isRight ? 'balanced' : 'unbalanced';
    if (open.length > 0) verdict = 'under way';
    else if (files.uploaded + messages.published + total.read + this.#sentByTerminal.read === 0) verdict = 'empty';
    const unsaid = this.isDraining ? 0 : Math.max(0, messages.acknowledged - said);
    return { ...parts, terminal: { ...this.#sentByTerminal }, verdict, open: open.join(' and '), unsaid };
  }

  #functionStates(): Record<Target, FunctionState> {
    const { importObject, drainSubscription } = this.#cloud!;
    const importState = this.#functionState('importObject', importObject);
    return {
      importObject: importState,
      drainSubscription: this.#functionState('drainSubscription', drainSubscription),
    };
  }

  #functionState(target: Target, { isUp, pid }: ServedFunction): FunctionState {
    const before = this.#functions.get(target) ?? { isUp, pid, restarts: 0 };
    const hasChanged = pid !== before.pid;
    if (target === 'importObject' && (hasChanged || (before.isUp && !isUp))) this.files.interrupt();
    const state = { isUp, pid, restarts: before.restarts + (hasChanged ? 1 : 0) };
    this.#functions.set(target, state);
    return state;
  }

  /** Reads those that were written since; of one that was written often, what stands there now. */
  #readCheckpoints(): void {
    for (const name of this.#checkpoints) {
      const content = this.#cloud!.storage.content(NAMES.stateBucket, name, MAX_CHECKPOINT_BYTES);
      const checkpoint = content === undefined ? 'gone' : parseCheckpoint(content.toString());
      if (typeof checkpoint !== 'string') this.files.update(name, checkpoint);
    }
    this.#checkpoints.clear();
  }
}

/** A structured log line; undefined for what the functions framework prints of itself. */
function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

function describe({ message, object, read, imported, rejected, dropped, reason, code, error, durationMs }: Line) {
  const counts =
    read === undefined ? '' : `${read} read, ${imported} imported, ${rejected} rejected, ${dropped} dropped`;
  const took = durationMs === undefined ? '' : `${durationMs} ms`;
  return [message, object, counts, took, reason, code, error].filter(Boolean).join(' · ');
}
