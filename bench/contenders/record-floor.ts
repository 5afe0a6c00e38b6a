/**
 * The least that it takes to make events of another tool's records: each line is parsed, its event built as an object and
 * serialized, and batches of them are compressed and posted. No value is looked at.
 */

import { createReadStream } from 'node:fs';
import { columnsOf } from '../../functions/core/formats/snowplow/columns.ts';
import { postAll } from './posting.ts';

type Fields = Record<string, unknown>;
interface SelfDescribing {
  schema: string;
  data: Fields;
}

const MAX_EVENTS = 2_000;
const READ_BYTES = 1_048_576;

const { BENCH_FILE: file = '', BENCH_RECORDS: kind } = process.env;
const names = columnsOf(131)!.map(({ name }) => name);
const eventOf = kind === 'segment' ? ofCall : ofLine;

await postAll(batches());

async function* batches(): AsyncGenerator<Buffer[]> {
  let events: string[] = [];
  let rest = '';
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES, encoding: 'utf8' })) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      events.push(JSON.stringify(eventOf(line)));
      if (events.length < MAX_EVENTS) continue;
      yield [Buffer.from(events.join('\n'))];
      events = [];
    }
  }
  if (events.length > 0) yield [Buffer.from(events.join('\n'))];
}

function ofCall(line: string): Fields {
  const { event, timestamp, userId, anonymousId, messageId, context, properties } = JSON.parse(line);
  const { page, campaign, screen, library } = context;
  return {
    event,
    properties: {
      time: Date.parse(timestamp),
      distinct_id: userId,
      $user_id: userId,
      $device_id: anonymousId,
      $insert_id: messageId,
      ip: context.ip,
      $current_url: page.url,
      $referrer: page.referrer,
      title: page.title,
      path: page.path,
      search: page.search,
      utm_source: campaign.source,
      utm_medium: campaign.medium,
      utm_campaign: campaign.name,
      $screen_width: screen.width,
      $screen_height: screen.height,
      $screen_density: screen.density,
      $locale: context.locale,
      timezone: context.timezone,
      user_agent: context.userAgent,
      mp_lib: library.name,
      $lib_version: library.version,
      ...properties,
    },
  };
}

function ofLine(line: string): Fields {
  const fields = line.split('\t');
  const properties: Fields = {};
  for (let index = 0; index < fields.length; index++) {
    const text = fields[index]!;
    if (text === '') continue;
    const name = names[index]!;
    if (name === 'unstruct_event') Object.assign(properties, JSON.parse(text).data.data);
    else if (name === 'contexts' || name === 'derived_contexts') {
      for (const { schema, data } of JSON.parse(text).data as SelfDescribing[]) spread(schema, data, properties);
    } else properties[name] = text;
  }
  return { event: properties.event_name, properties: { $insert_id: properties.event_id, ...properties } };
}

function spread(schema: string, data: Fields, properties: Fields): void {
  const entity = schema.slice(schema.indexOf('/') + 1, schema.indexOf('/jsonschema'));
  for (const name in data) properties[`${entity}.${name}`] = data[name];
}
