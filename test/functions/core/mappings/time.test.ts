import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseKeepingDigits } from '../../../../functions/core/formats/json/numbers.ts';
import { type TimeOptions, timeReader } from '../../../../functions/core/mappings/time.ts';

const AT = Date.UTC(2023, 10, 14, 22, 13, 20);
const none = undefined;

describe('a time', () => {
  const cases: [value: unknown, ms: number | undefined, options?: TimeOptions][] = [
    // Numbers by their size.
    [1_700_000_000, AT],
    [1_700_000_000.5, AT + 500],
    [1_700_000_000_000, AT],
    [1_700_000_000_123_456, AT + 123],
    [parseKeepingDigits('1700000000123456789'), AT + 123],
    [1_700_000_000_123_456_789n, AT + 123],
    [31_536_000, Date.UTC(1971, 0, 1)],
    [31_535_999, none],
    [4_102_444_800, Date.UTC(2100, 0, 1)],
    [4_102_444_801, none],
    [31_536_000_000, Date.UTC(1971, 0, 1)],
    [4_102_444_800_001, none],
    [0, none],
    [-5, none],
    [Number.NaN, none],
    // Numbers with a unit.
    [0, 0, { unit: 's' }],
    [-1.5, -1_500, { unit: 's' }],
    [1_700_000_000, 1_700_000_000, { unit: 'ms' }],
    [1_700_000_000_123_999, AT + 123, { unit: 'us' }],
    ['1700000000.25', AT + 250, { unit: 's' }],
    ['2023-11-14', Date.UTC(2023, 10, 14), { unit: 's' }],
    // Digits in text.
    ['1700000000', AT],
    [' 1700000000 ', AT],
    ['999999999', 999_999_999_000],
    ['1700000000000', AT],
    ['631152000000', 631_152_000_000],
    ['631151999999', none],
    ['202311142213', none],
    ['1700000000123456', AT + 123],
    ['1700000000123456789', AT + 123],
    ['20231114', none],
    ['17000000000', none],
    ['20231114221320', none],
    // RFC 3339, and what is near it.
    ['2023-11-14T22:13:20Z', AT],
    ['2023-11-14t22:13:20z', AT],
    ['2023-11-14T22:13:20.1Z', AT + 100],
    ['2023-11-14T22:13:20.123999999Z', AT + 123],
    ['2023-11-15T03:43:20+05:30', AT],
    ['2023-11-14T22:13:20-00:00', AT],
    ['2023-11-14T17:13:20-0500', AT],
    ['2023-11-14 22:13:20', AT],
    ['2023-11-14 22:13:20.458800585', AT + 458],
    ['2023-11-14 22:13:20 UTC', AT],
    ['2023-11-14 22:13', AT - 20_000],
    ['2023-11-14', Date.UTC(2023, 10, 14)],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)],
    ['2023-02-29', none],
    ['2023-13-01', none],
    ['2023-11-31', none],
    ['2023-11-14T24:00:00Z', none],
    ['2023-11-14T22:60:00Z', none],
    ['2023-11-14T22:13:20+24:00', none],
    ['2023-11-14T22:13:20.Z', none],
    // The commonest form is read in a way of its own.
    ['2023-11-14T22:13:20.007Z', AT + 7],
    ['2016-12-31T23:59:60.000Z', Date.UTC(2017, 0, 1)],
    ['2023-11-14 22:13:20.500Z', AT + 500],
    ['2023-11-14T22:13:20,500Z', AT + 500],
    ['2023-11-14T22:13:20.50+Z', none],
    ['2023-11-14T24:00:00.000Z', none],
    ['2023-11-14T22:60:00.000Z', none],
    ['2023-11-14T22:13:61.000Z', none],
    ['2023-11-14T22.13:20.000Z', none],
    ['2023-11-14T22:13.20.000Z', none],
    ['2023-11-14T22:13:20.0x0Z', none],
    ['2023-11-14T22:13:20.1234567890Z', none],
    ['2023/11/14', none],
    ['14.11.2023', none],
    ['Tue, 14 Nov 2023 22:13:20 GMT', none],
    ['soon', none],
    ['', none],
    [null, none],
    [true, none],
    [{}, none],
    // Local times.
    ['2023-11-14 23:13:20', AT, { zone: 'Europe/Berlin' }],
    ['2023-11-14T22:13:20Z', AT, { zone: 'Europe/Berlin' }],
    ['2023-07-01', Date.UTC(2023, 5, 30, 22), { zone: 'Europe/Berlin' }],
    [1_700_000_000, AT, { zone: 'Europe/Berlin' }],
    ['2024-10-27 02:30:00', Date.UTC(2024, 9, 27, 0, 30), { zone: 'Europe/Berlin' }],
    ['2024-10-27 03:00:00', Date.UTC(2024, 9, 27, 2, 0), { zone: 'Europe/Berlin' }],
    ['2024-03-31 02:30:00', Date.UTC(2024, 2, 31, 1, 30), { zone: 'Europe/Berlin' }],
    ['2024-03-31 03:00:00', Date.UTC(2024, 2, 31, 1, 0), { zone: 'Europe/Berlin' }],
    ['2024-11-03 01:30:00', Date.UTC(2024, 10, 3, 5, 30), { zone: 'America/New_York' }],
    ['2024-03-10 02:30:00', Date.UTC(2024, 2, 10, 7, 30), { zone: 'America/New_York' }],
    ['2024-04-07 01:45:00', Date.UTC(2024, 3, 6, 14, 45), { zone: 'Australia/Lord_Howe' }],
    ['2024-01-01 05:45:00', Date.UTC(2024, 0, 1), { zone: 'Asia/Kathmandu' }],
    [Date.UTC(2024, 6, 1, 12) / 1_000, Date.UTC(2024, 6, 1, 10), { zone: 'Europe/Berlin', numbersAreLocal: true }],
  ];
  for (const [value, ms, options = {}] of cases) {
    const shown = typeof value === 'bigint' ? `${value}n` : JSON.stringify(value);
    const how = Object.keys(options).length === 0 ? '' : ` with ${JSON.stringify(options)}`;
    const result = ms === undefined ? 'none' : ms;
    test(`the time of ${shown}${how} is ${result}`, () => assert.equal(timeReader(options)(value), ms));
  }

  test('every RFC 3339 text is the time that V8 reads', () => {
    const read = timeReader({});
    const dates = fc.date({ min: new Date(0), max: new Date(4_102_444_800_000), noInvalidDate: true });
    fc.assert(fc.property(dates, (date) => assert.equal(read(date.toISOString()), date.getTime())));
  });

  test('a local time is the one whose clock shows it, if there is one', () => {
    const zones = ['Europe/Berlin', 'America/Sao_Paulo', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Pacific/Apia'];
    const local = fc.date({ min: new Date(946_684_800_000), max: new Date(1_800_000_000_000), noInvalidDate: true });
    fc.assert(
      fc.property(fc.constantFrom(...zones), local, (zone, date) => {
        const text = new Date(date.getTime() - (date.getTime() % 1_000)).toISOString().slice(0, 19);
        const ms = timeReader({ zone })(text)!;
        const shown = new Date(ms).toLocaleString('sv-SE', { timeZone: zone });
        const earlier = new Date(ms - 3_600_000).toLocaleString('sv-SE', { timeZone: zone });
        // Only where the clock is put forward does it show something else: later than what was asked for.
        assert.ok(shown === text.replace('T', ' ') || shown > text.replace('T', ' '));
        assert.notEqual(earlier, text.replace('T', ' '), 'the first of two times counts');
      }),
    );
  });
});
