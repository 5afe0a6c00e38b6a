/** Generates records of other tools, each with ids of its own: the same ones each time. */

import { readFileSync } from 'node:fs';
import { PROJECT } from './paths.ts';

/** Lines of Snowplow's enriched events, as the samples have them, or calls of Segment's library for the web. */
export type RecordKind = 'snowplow' | 'segment';

/** Files of lines that have most columns, entities among them. */
const SAMPLES = ['rdb-1.tsv', 'js-sdk-fixture.tsv', 'legacy-131-fields.tsv'];
/** Index of the column event_id. */
const EVENT_ID = 6;
const RECORDS_A_CHUNK = 200;
const PAGES = ['shoes', 'jackets', 'bags', 'summer-sale', 'gift-cards', 'outlet'];
const NAMES = ['Product Viewed', 'Product Added', 'Cart Viewed', 'Checkout Started', 'Order Completed'];
const CITIES = ['Zürich', 'London', 'São Paulo', 'München', 'Paris', 'New York', 'Kraków'];

/** Yields at least `bytes` of records, one per line, in chunks, with their number. */
export function* recordLines(kind: RecordKind, bytes: number): Generator<{ text: string; records: number }> {
  const lineOf = kind === 'snowplow' ? snowplow() : segment;
  let index = 0;
  for (let made = 0; made < bytes; ) {
    let text = '';
    for (let record = 0; record < RECORDS_A_CHUNK; record++) text += `${lineOf(index++)}\n`;
    made += Buffer.byteLength(text);
    yield { text, records: RECORDS_A_CHUNK };
  }
}

function snowplow(): (index: number) => string {
  const samples = SAMPLES.flatMap((name) =>
    readFileSync(`${PROJECT}test/data/snowplow/${name}`, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t')),
  );
  return (index) => samples[index % samples.length]!.with(EVENT_ID, uuid(index)).join('\t');
}

function segment(index: number): string {
  const user = Math.imul(index, 0x9e3779b1) >>> 17;
  const page = PAGES[index % PAGES.length]!;
  const at = new Date(1_759_300_000_000 + index * 37).toISOString();
  return JSON.stringify({
    anonymousId: uuid(user),
    context: {
      ip: `203.0.113.${user % 250}`,
      library: { name: 'analytics.js', version: 'next-1.62.0' },
      locale: 'en-GB',
      page: {
        path: `/${page}/item-${user % 5_000}`,
        referrer: index % 3 === 0 ? 'https://www.google.com/' : '',
        search: '?utm_source=newsletter',
        title: `${page} | Shop`,
        url: `https://shop.example.com/${page}/item-${user % 5_000}?utm_source=newsletter`,
      },
      campaign: { source: 'newsletter', medium: 'email', name: 'autumn' },
      screen: { width: 1_440, height: 900, density: 2 },
      timezone: 'Europe/Berlin',
      userAgent:
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36',
    },
    event: NAMES[index % NAMES.length],
    integrations: {},
    messageId: `ajs-next-${index}-${uuid(index)}`,
    originalTimestamp: at,
    properties: {
      product_id: `p-${user % 5_000}`,
      category: page,
      price: (index % 20_000) / 100,
      currency: 'EUR',
      quantity: 1 + (index % 3),
      city: CITIES[index % CITIES.length],
      is_member: index % 3 === 0,
    },
    receivedAt: at,
    sentAt: at,
    timestamp: at,
    type: 'track',
    userId: `user-${user}`,
  });
}

/** A UUID that follows from a number, and from no other. */
function uuid(number: number): string {
  const parts = [1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f].map((factor) =>
    (Math.imul(number + 1, factor) >>> 0).toString(16).padStart(8, '0'),
  );
  return parts.join('').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
