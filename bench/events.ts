/** Generates events as products send them, from a seed: the same ones each time. */

/** Small: 200 bytes and four properties. Typical: 500 bytes and 19 properties, as an SDK for the web sends them. Wide: 200 properties. */
export type EventKind = 'small' | 'typical' | 'wide';

/** Bytes of an event with its line end. All of one kind are as long, so that a body's length tells how many are in it. */
export const LINE_BYTES: Record<EventKind, number> = { small: 200, typical: 500, wide: 4_800 };

const SEED = 20_261_101;
const USERS = 50_000;
const EVENTS_A_CHUNK = 500;
const NAMES = [
  'Page Viewed',
  'Product Viewed',
  'Added to Cart',
  'Checkout Started',
  'Order Completed',
  'Search',
  'Login',
];
const CITIES = ['Zürich', 'London', 'São Paulo', 'München', 'Paris', 'New York', 'Mumbai', 'Tokyo', 'Kraków', 'Austin'];
const COUNTRIES = ['CH', 'GB', 'BR', 'DE', 'FR', 'US', 'IN', 'JP', 'PL', 'US'];
const BROWSERS = ['Chrome', 'Safari', 'Firefox', 'Edge', 'Mobile Safari', 'Samsung Internet'];
const SYSTEMS = ['Windows', 'Mac OS X', 'iOS', 'Android', 'Linux'];
const SCREENS = [1080, 1440, 900, 844, 2160, 768];
const SECTIONS = ['shoes', 'jackets', 'bags', 'summer-sale', 'gift-cards', 'new-arrivals', 'outlet', 'accessories'];
const PLANS = ['free', 'trial', 'team', 'business', 'enterprise'];
const WORDS = `the of and to in is was for that with his they this have from one had word but what some there out
 other were all your when up use how said each she which their time will way about many then them write would like these
 her long make thing see him two has look more day could go come did number sound no most people my over know water than
 call first who may down side been now find any new work part take get place made live where after back little only
 round man year came show every good me give our under name very through just form sentence great think say help low
 line differ turn cause much mean before move right boy old too same tell does set three want air well also play small`
  .split(/\s+/)
  .filter((word) => word !== '');

/** Yields the events as newline-delimited JSON, in chunks. */
export function* eventLines(kind: EventKind, hasIds: boolean, events: number): Generator<string> {
  const random = mulberry32(SEED);
  const text = freeText(random);
  const draft = { small, typical, wide }[kind];
  for (let first = 0; first < events; first += EVENTS_A_CHUNK) {
    let chunk = '';
    for (let index = first; index < Math.min(events, first + EVENTS_A_CHUNK); index++) {
      const head = draft(random, index, hasIds ? `"$insert_id":"${insertId(random, index)}",` : '');
      chunk += fill(head, LINE_BYTES[kind], text, random);
    }
    yield chunk;
  }
}

type Random = () => number;

function small(random: Random, index: number, id: string): string {
  const name = NAMES[Math.floor(random() * 4)];
  return `{"event":"${name}","properties":{"time":${time(index)},"distinct_id":"${userId(Math.floor(random() * USERS))}",${id}"screen":"${pick(random, SECTIONS)}","note":"`;
}

function typical(random: Random, index: number, id: string): string {
  const place = Math.floor(random() * CITIES.length);
  const section = pick(random, SECTIONS);
  const product = Math.floor(random() * 5_000);
  const userNumber = Math.floor(random() * USERS);
  return (
    `{"event":"${pick(random, NAMES)}","properties":{"time":${time(index)},"distinct_id":"${userId(userNumber)}",${id}` +
    `"$device_id":"${deviceId(userNumber)}","$browser":"${pick(random, BROWSERS)}",` +
    `"$browser_version":${120 + Math.floor(random() * 15)},"$os":"${pick(random, SYSTEMS)}",` +
    `"$screen_height":${pick(random, SCREENS)},"$screen_width":${pick(random, SCREENS)},` +
    `"$city":"${CITIES[place]}","mp_country_code":"${COUNTRIES[place]}",` +
    `"$current_url":"/${section}/item-${product}","mp_lib":"web","plan":"${pick(random, PLANS)}",` +
    `"amount":${Math.floor(random() * 20_000)},"currency":"EUR","is_member":${random() < 0.3},` +
    `"session":"${hex(Math.floor(random() * 2 ** 32))}","search":"`
  );
}

function wide(random: Random, index: number, id: string): string {
  let event = `{"event":"${pick(random, NAMES)}","properties":{"time":${time(index)},"distinct_id":"${userId(Math.floor(random() * USERS))}",${id}`;
  // These three, or two, and the last one count too.
  for (let property = id === '' ? 3 : 4; property < 200; property++) {
    const name = WIDE_NAMES[property];
    if (property % 5 === 0) event += `"${name}":${random() < 0.5},`;
    else if (property % 5 === 1) event += `"${name}":${Math.floor(random() * 1_000)},`;
    else if (property % 5 === 2) event += `"${name}":null,`;
    else event += `"${name}":"${pick(random, property % 2 === 0 ? PLANS : SECTIONS)}",`;
  }
  return `${event}"comment":"`;
}

const WIDE_NAMES = Array.from({ length: 200 }, (_, at) => `${WORDS[at % 97]}_${WORDS[(at * 7) % 89]}_${at}`);

/** Ends an event whose last property is text: as much of it as makes the event long enough. */
function fill(head: string, lineBytes: number, text: string, random: Random): string {
  const missing = lineBytes - Buffer.byteLength(head) - '"}}\n'.length;
  if (missing < 0) throw new Error(`an event is ${-missing} bytes too long`);
  const from = Math.floor(random() * (text.length - missing));
  return `${head}${text.slice(from, from + missing)}"}}\n`;
}

/** A minute or so of text that users might have typed. */
function freeText(random: Random): string {
  return Array.from({ length: 100_000 }, () => pick(random, WORDS)).join(' ');
}

/** The index, mixed so that no two are the same, and as much chance again. */
function insertId(random: Random, index: number): string {
  let mixed = Math.imul(index ^ (index >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return hex(mixed ^ (mixed >>> 16)) + hex(Math.floor(random() * 2 ** 32));
}

function time(index: number): number {
  return 1_759_300_000 + (index >> 6);
}

function userId(number: number): string {
  return `user-${hex(Math.imul(number, 0x9e3779b1))}`;
}

/** A UUID that belongs to the user. */
function deviceId(number: number): string {
  const parts = [0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1].map((factor) => hex(Math.imul(number + 1, factor)));
  return parts.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function hex(number: number): string {
  return (number >>> 0).toString(16).padStart(8, '0');
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!;
}

/** Numbers from 0 to 1 that follow from a seed (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c). */
function mulberry32(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
