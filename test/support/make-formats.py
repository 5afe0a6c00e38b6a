"""Makes test/formats: files as pyarrow, DuckDB, fastavro and Python's csv write them, with what they hold.

pip install pyarrow duckdb fastavro backports.zstd cramjam && python3 test/support/make-formats.py
"""

import csv
import datetime
import decimal
import json
import pathlib
import uuid

import duckdb
import fastavro
import pyarrow
import pyarrow.parquet

FOLDER = pathlib.Path(__file__).parent.parent / "formats"
FOLDER.mkdir(exist_ok=True)
UTC = datetime.timezone.utc


def events(count, first=0):
    return [
        {
            "event": "Order Completed",
            "properties": {
                "time": 1_767_225_600 + index,
                "distinct_id": f"user-{index % 7}",
                "$insert_id": f"avro-{index}",
                "total": index / 8,
                "items": [f"item-{item}" for item in range(index % 4)],
            },
        }
        for index in range(first, first + count)
    ]


EVENT_SCHEMA = {
    "type": "record",
    "name": "Event",
    "namespace": "test",
    "fields": [
        {"name": "event", "type": "string"},
        {"name": "properties", "type": {"type": "map", "values": [
            "null", "long", "double", "string", {"type": "array", "items": "string"},
        ]}},
    ],
}

TYPES_SCHEMA = {
    "type": "record",
    "name": "Types",
    "fields": [
        {"name": "none", "type": "null"},
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "single", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "bytes", "type": "bytes"},
        {"name": "text", "type": "string"},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["RED", "GREEN"]}},
        {"name": "four", "type": {"type": "fixed", "name": "Four", "size": 4}},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "map", "type": {"type": "map", "values": "Color"}},
        {"name": "union", "type": ["null", "string", {"type": "bytes"}, "long", "double"]},
        {"name": "nested", "type": ["null", {"type": "record", "name": "Node", "fields": [
            {"name": "value", "type": "int"}, {"name": "next", "type": ["null", "Node"]},
        ]}]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "clock_ms", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "clock_us", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "at_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "at_us", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local_us", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}},
        {"name": "price", "type": {"type": "fixed", "name": "Price", "size": 8, "logicalType": "decimal",
                                   "precision": 18, "scale": 2}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "datetime", "type": {"type": "string", "logicalType": "datetime"}},
    ],
}


def types_rows():
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
    row = {
        "none": None, "flag": True, "small": -1, "large": 2**63 - 1, "single": 0.1, "double": 0.1,
        "bytes": b"\x00\xff", "text": "Zoë \u2028 \"quoted\"", "color": "GREEN", "four": b"abcd",
        "list": [1, None, -(2**53) - 1], "map": {"__proto__": "RED", "b": "GREEN"}, "union": ("string", "text"),
        "nested": {"value": 1, "next": {"value": 2, "next": None}},
        "day": datetime.date(1969, 12, 31), "clock_ms": datetime.time(1, 2, 3, 4_000),
        "clock_us": datetime.time(23, 59, 59, 999_999), "at_ms": at, "at_us": at,
        "local_us": datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "amount": decimal.Decimal("123456789012345678901234567.125000000"),
        "price": decimal.Decimal("-0.50"), "id": str(uuid.UUID(int=1)), "datetime": "2026-01-02T03:04:05.5",
    }
    other = {
        **row, "flag": False, "small": 2**31 - 1, "large": -(2**63), "single": 3.4028234663852886e38,
        "double": float("nan"), "bytes": b"", "text": "", "color": "RED", "list": [], "map": {},
        "union": ("bytes", b"text"), "nested": None, "day": datetime.date(9999, 12, 31),
        "at_us": datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), "amount": decimal.Decimal("1.500000000"),
        "price": decimal.Decimal("1234567890123.45"),
    }
    third = {**row, "large": 2**53, "single": float("inf"), "double": float("-inf"), "union": None,
             "amount": decimal.Decimal("0.000000001"), "price": decimal.Decimal("0.00")}
    fourth = {**row, "large": -(2**53) + 1, "single": 16_777_217.0, "double": 5e-324, "union": 2**60,
              "amount": decimal.Decimal("-7.000000000"), "price": decimal.Decimal("10.00")}
    return [row, other, third, fourth]


def avro(name, schema, rows, codec, sync_interval=600):
    with open(FOLDER / name, "wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), rows, codec=codec, sync_interval=sync_interval,
                        sync_marker=bytes(range(65, 81)))


for codec in ["null", "deflate", "snappy", "zstandard"]:
    avro(f"events-{codec}.avro", EVENT_SCHEMA, events(60), codec)
avro("types.avro", TYPES_SCHEMA, types_rows(), "null")
avro("events-bzip2.avro", EVENT_SCHEMA, events(3), "bzip2")
avro("empty.avro", EVENT_SCHEMA, [], "null")

# As Pub/Sub's Cloud Storage subscriptions write messages, with their metadata and without.
DATA_FIELD = {"name": "data", "type": "bytes"}
METADATA_FIELDS = [
    {"name": "subscription_name", "type": "string"},
    {"name": "message_id", "type": "string"},
    {"name": "publish_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "attributes", "type": {"type": "map", "values": "string"}},
]
MESSAGES = [
    b'{"event":"a","properties":{"n":12345678901234567890,"$insert_id":"id-1"}}',
    b' {"event": "b", "properties": {}}\n',
    b"[]",
    b'{"event":',
    b"\xff",
    b"",
]
avro("messages-data.avro", {"type": "record", "name": "com.google.pubsub.PubsubMessage", "fields": [DATA_FIELD]},
     [{"data": data} for data in MESSAGES], "null")
avro("messages.avro",
     {"type": "record", "name": "com.google.pubsub.PubsubMessageWithMetadata", "fields": [*METADATA_FIELDS, DATA_FIELD]},
     [{"subscription_name": "projects/p/subscriptions/s", "message_id": str(index), "publish_time": 0,
       "attributes": {"source": "web"}, "data": data} for index, data in enumerate(MESSAGES)], "snappy")
(FOLDER / "events.ndjson").write_text("".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events(60)))

# Delimited text, with what it holds as lines of JSON.
TEXTS = [
    {"id": "001", "name": "Zoë, \"the\" first", "note": "two\nlines", "amount": "1,5"},
    {"id": "002", "name": "", "note": "a\r\nb;c\td", "amount": "-0.10"},
    {"id": "003", "name": "日本", "note": " padded ", "amount": "1e3"},
]


def as_lines(name, rows):
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    (FOLDER / f"{name}.ndjson").write_text(text)


def python_csv(name, encoding, **options):
    with open(FOLDER / name, "w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(TEXTS[0]), **options)
        writer.writeheader()
        writer.writerows(TEXTS)
    as_lines(name, TEXTS)


python_csv("python-excel.csv", "utf-8-sig")
python_csv("python-semicolon.csv", "utf-8", delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\n")

# As COPY … TO STDOUT writes it: backslashes stand for what would end a field, and \N for null.
(FOLDER / "postgres.tsv").write_text('id\tname\n1\t"quoted\\tname"\n2\t\\N\n')
as_lines("postgres.tsv", [{"id": "1", "name": '"quoted\\tname"'}, {"id": "2", "name": "\\N"}])

duckdb.sql("create table texts as select * from (values ('001', 'a,b', 'x \"y\"'), ('002', 'two' || chr(10) || 'lines', 'é')) as t(id, name, note)")
duckdb.sql(f"copy texts to '{FOLDER / 'duckdb.csv'}' (header)")
as_lines("duckdb.csv", [dict(zip(["id", "name", "note"], row)) for row in duckdb.sql("from texts").fetchall()])

# Parquet.
PARQUET_EVENTS = pyarrow.table(
    {
        "event": [event["event"] for event in events(60)],
        "properties": pyarrow.array(
            [event["properties"] for event in events(60)],
            pyarrow.struct([
                ("time", pyarrow.int64()), ("distinct_id", pyarrow.string()), ("$insert_id", pyarrow.string()),
                ("total", pyarrow.float64()), ("items", pyarrow.list_(pyarrow.string())),
            ]),
        ),
    }
)
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    pyarrow.parquet.write_table(PARQUET_EVENTS, FOLDER / f"events-{codec}.parquet", compression=codec, row_group_size=13,
                                write_statistics=False)
pyarrow.parquet.write_table(PARQUET_EVENTS, FOLDER / "events-v2.parquet", row_group_size=50, data_page_version="2.0",
                            use_dictionary=False, write_page_index=True, compression="zstd")

at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901)
before = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)
TYPES = pyarrow.table({
    "flag": pyarrow.array([True, False, None]),
    "i8": pyarrow.array([-128, 127, None], pyarrow.int8()),
    "u8": pyarrow.array([0, 255, None], pyarrow.uint8()),
    "i32": pyarrow.array([-(2**31), 2**31 - 1, None], pyarrow.int32()),
    "u32": pyarrow.array([0, 2**32 - 1, None], pyarrow.uint32()),
    "i64": pyarrow.array([-(2**63), 2**63 - 1, 2**53], pyarrow.int64()),
    "u64": pyarrow.array([0, 2**64 - 1, None], pyarrow.uint64()),
    "f16": pyarrow.array([1.5, float("nan"), None], pyarrow.float16()),
    "f32": pyarrow.array([0.1, float("inf"), None], pyarrow.float32()),
    "f64": pyarrow.array([0.1, float("-inf"), None], pyarrow.float64()),
    "d9": pyarrow.array([decimal.Decimal("1.50"), decimal.Decimal("-0.01"), None], pyarrow.decimal128(9, 2)),
    "d18": pyarrow.array([decimal.Decimal("1234567890123456.78"), decimal.Decimal("-0.10"), None], pyarrow.decimal128(18, 2)),
    "d38": pyarrow.array([decimal.Decimal("-9999999999999999.999000000"), decimal.Decimal("1"), None], pyarrow.decimal128(38, 9)),
    "text": ["Zoë \"x\"", "", None],
    "bytes": [b"\x00\xff", b"", None],
    "fixed": pyarrow.array([b"abcd", b"\xff\xff\xff\xff", None], pyarrow.binary(4)),
    "day": pyarrow.array([datetime.date(1969, 12, 31), datetime.date(2026, 1, 2), None]),
    "t_ms": pyarrow.array([datetime.time(1, 2, 3, 4000), datetime.time(0), None], pyarrow.time32("ms")),
    "t_us": pyarrow.array([datetime.time(23, 59, 59, 999999), datetime.time(0), None], pyarrow.time64("us")),
    "t_ns": pyarrow.array([1, 86_399_999_999_999, None], pyarrow.time64("ns")),
    "ms_utc": pyarrow.array([at, before, None], pyarrow.timestamp("ms", "UTC")),
    "us_utc": pyarrow.array([at, before, None], pyarrow.timestamp("us", "UTC")),
    "ns_utc": pyarrow.array([1, -1, None], pyarrow.timestamp("ns", "UTC")),
    "us_local": pyarrow.array([at, before, None], pyarrow.timestamp("us")),
    "list": pyarrow.array([[1, None, -(2**60) - 1], [], None], pyarrow.list_(pyarrow.int64())),
    "map": pyarrow.array([[("a", 1), ("__proto__", 2)], [], None], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    "struct": pyarrow.array([{"a": 1, "b": {"at": at}}, {"a": None, "b": None}, None],
                            pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.struct([("at", pyarrow.timestamp("us", "UTC"))]))])),
    "structs": pyarrow.array([[{"key": "page", "value": {"string_value": "/", "int_value": None}}], [], None],
                             pyarrow.list_(pyarrow.struct([("key", pyarrow.string()), ("value", pyarrow.struct([
                                 ("string_value", pyarrow.string()), ("int_value", pyarrow.int64())]))]))),
    "lists": pyarrow.array([[[1], [], [2, 3]], [], None], pyarrow.list_(pyarrow.list_(pyarrow.int32()))),
    "color": pyarrow.array(["RED", "GREEN", "RED"]).dictionary_encode(),
})
pyarrow.parquet.write_table(TYPES, FOLDER / "types.parquet", write_statistics=False, store_schema=False)
pyarrow.parquet.write_table(pyarrow.table({"at": pyarrow.array([at, before, None], pyarrow.timestamp("ns"))}),
                            FOLDER / "int96.parquet", use_deprecated_int96_timestamps=True, store_schema=False)
pyarrow.parquet.write_table(PARQUET_EVENTS.slice(0, 0), FOLDER / "empty.parquet", store_schema=False)
duckdb.sql("create table mixed as select 'e' as event, {'time': 1767225600 + i, 'distinct_id': 'u' || i, "
           "'$insert_id': 'duck-' || i, 'uuid': '00000000-0000-0000-0000-000000000001'::uuid, 'price': (i * 1.10)::decimal(18, 3), "
           "'huge': 170141183460469231731687303715884105727::hugeint, 'tags': ['a', i::varchar], "
           "'props': map {'k': i}} as properties from range(5) t(i)")
duckdb.sql(f"copy mixed to '{FOLDER / 'duckdb.parquet'}' (format parquet, compression zstd)")
SMALL = pyarrow.table({
    "event": ["a", "b", "a", "c", None, "a"],
    "properties": pyarrow.array([{"n": index, "tags": ["x"] * (index % 3)} for index in range(6)],
                                pyarrow.struct([("n", pyarrow.int64()), ("tags", pyarrow.list_(pyarrow.string()))])),
})
for name, options in {"snappy": {"compression": "snappy"}, "none": {"compression": "none", "data_page_version": "2.0"}}.items():
    pyarrow.parquet.write_table(SMALL, FOLDER / f"small-{name}.parquet", row_group_size=3, write_statistics=False,
                                store_schema=False, **options)

# So many rows that their rejections are summed up, in two row groups.
pyarrow.parquet.write_table(
    pyarrow.table({"n": pyarrow.array(range(20_000), pyarrow.int64())}), FOLDER / "numbers.parquet",
    row_group_size=15_000, use_dictionary=False, column_encoding="DELTA_BINARY_PACKED", compression="zstd")

# The samples: Mixpanel's events as a warehouse may export them.
SAMPLES = pathlib.Path(__file__).parent.parent.parent / "samples"
SHOP = [
    {"event": "Page Viewed", "properties": {"time": 1767225600, "distinct_id": "ada", "page": "/", "price": None}},
    {"event": "Product Viewed", "properties": {"time": 1767225621, "distinct_id": "ada", "page": "/kettles", "price": 39.9}},
    {"event": "Page Viewed", "properties": {"time": 1767225801, "distinct_id": "grace", "page": "/teapots", "price": None}},
    {"event": "Order Completed", "properties": {"time": 1767225899, "distinct_id": "grace", "page": "/order", "price": 89.0}},
]
pyarrow.parquet.write_table(pyarrow.Table.from_pylist(SHOP), SAMPLES / "shop.parquet", compression="zstd")
SHOP_SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "event", "type": "string"},
        {
            "name": "properties",
            "type": {
                "type": "record",
                "name": "Properties",
                "fields": [
                    {"name": "time", "type": "long"},
                    {"name": "distinct_id", "type": "string"},
                    {"name": "page", "type": ["null", "string"]},
                    {"name": "price", "type": ["null", "double"]},
                ],
            },
        },
    ],
}
with open(SAMPLES / "shop.avro", "wb") as file:
    fastavro.writer(file, fastavro.parse_schema(SHOP_SCHEMA), SHOP, codec="deflate", sync_marker=b"samples: shop..!")
