"""Whatever the format, the packing and the blocks: the same conversations come out."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset import formats

_spec = importlib.util.spec_from_file_location("dataset_writing", Path(__file__).with_name("writing.py"))
writing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(writing)

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(c) for c in (*range(9), 11, *range(14, 32), 127)]),
    min_size=1,
    max_size=40,
).filter(lambda text: not text.isspace())
CONVERSATIONS = st.lists(
    st.tuples(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3), st.none() | TEXT), min_size=2, max_size=6
)
WAYS = [(name, way) for name, ways in writing.FORMATS.items() for way in ways if name != "parquet"]
PACKINGS = [(name, pack) for name, packs in writing.PACKED.items() for pack in packs]


def _rows(conversations):
    rows = []
    for number, (turns, system) in enumerate(conversations):
        messages = [{"role": "system", "content": system}] if system else []
        for at, (question, answer) in enumerate(turns):
            first = f"{number} " if at == 0 else ""
            messages += [{"role": "user", "content": first + question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": messages, "id": number})
    return rows


def _content(rows):
    return sorted(json.dumps([[m["role"], m["content"]] for m in row["messages"]]) for row in rows)


@given(
    conversations=CONVERSATIONS,
    way=st.sampled_from(WAYS),
    packing=st.sampled_from(PACKINGS),
    block=st.sampled_from([1, 7, 100, 10_000]),
)
def test_every_format_packed_in_any_way_gives_the_same_conversations(conversations, way, packing, block, prepared):
    rows = _rows(conversations)
    (format_name, write), (compression, pack) = way, packing
    data = pack(write(rows))

    found = prepared([data[at : at + block] for at in range(0, len(data), block)])

    assert (found.report.format, found.report.compression) == (format_name, compression)
    assert found.report.rows_read == len(rows)
    assert _content(found.rows) == _content(rows)
    assert found.reasons == {}


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda packing: packing[1].__name__)
def test_parquet_packed_in_any_way_gives_the_same_conversations(packing, prepared, chat):
    rows = [
        chat(f"question {i}\n\u2028", f"answer {i} \U0001f600", system="Be kind." if i % 2 else None) for i in range(50)
    ]
    compression, pack = packing

    found = prepared(pack(writing.parquet(rows)))

    assert (found.report.format, found.report.compression) == ("parquet", compression)
    assert found.report.layout == "openai"
    assert _content(found.rows) == _content(rows)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('{"messages": [{"role": "user", "content": NaN}]}', "invalid_json"),
        ('{"messages": [{"role": "user", "content": "x"}', "invalid_json"),
        ('{"messages": [{"role": "user" "content": "x"}]}', "invalid_json"),
        (
            '{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "x"}]}',
            "lone_surrogate",
        ),
        ("[1, 2]", "not_an_object"),
        ("null", "not_an_object"),
        ('{"messages": "text"}', "missing_messages"),
        ('{"messages":' + "[" * 5000 + "]" * 5000 + "}", "nested_too_deeply"),
    ],
)
@pytest.mark.parametrize("separator", [",", ",\n", "\n,\n  "])
def test_broken_value_of_an_array_costs_only_itself(broken, reason, separator, prepared, chat):
    good = [json.dumps(chat(f"question {i}", "answer")) for i in range(5)]
    data = ("[" + separator.join([*good[:3], broken, *good[3:]]) + "]").encode()

    found = prepared(data)

    assert found.reasons == {reason: 1}
    assert found.report.numbered_by == "row"
    assert found.report.rejected_by_reason[reason].first_lines == [4]
    assert found.report.rows_kept == 5


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]", "the JSON array is empty"),
        (b'[{"messages":[]}', "cut off"),
        (b'[{"messages":[]},{"messages":[{"role":"us', "cut off in row 2"),
        (b'[{"messages":[]}]{"messages":[]}', "goes on behind its closing bracket"),
        (b"[nonsense, more]", "where the next row begins cannot be made out"),
        (b'[{"messages":"' + b"x" * 1_100_000 + b'"}]', "row 1 is longer than 1,000,000 bytes"),
        (b"[" + b" " * 3_000_000, "cut off"),
        (b"[" * 3_000_000, "cannot be made out"),
    ],
)
def test_array_that_is_no_array_is_rejected_with_its_reason(data, words, prepared):
    found = prepared(data, max_line_bytes=1_000_000)

    assert words in found.report.reason
    assert found.report.format == "json"


def test_table_rows_that_do_not_fit_cost_only_themselves(prepared):
    data = (
        b"prompt,completion\r\n"
        b"q1,a1\r\n"
        b"q2\r\n"
        b'"q3, with ""quotes""\nand a line","a3"\r\n'
        b"\r\n"
        b'q"4,"a4" x\r\n'
        b"q5,a5,surplus\r\n"
        b"q6,a6\r\n"
    )

    found = prepared(data + b"q7,caf\xe9\r\nq8,\xc3\xa9\r\n")

    assert found.reasons == {"field_count": 2, "malformed_record": 1, "invalid_utf8": 1}
    assert found.report.rejected_by_reason["field_count"].first_lines == [3, 8]
    assert found.notes["blank_line"] == 1
    assert sorted(row["prompt"] for row in found.rows) == ["q1", 'q3, with "quotes"\nand a line', "q6", "q8"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"prompt,prompt\nq,a\n", "names the column 'prompt' twice"),
        ("prompt,completion\nOù est le café,là\n".encode("latin-1"), "Latin-1"),
        ("prompt,completion\nOù,là\n".encode("utf-16"), "UTF-16"),
        (b"prompt,completion\n", "holds no rows"),
        (b'prompt,completion\nq,"' + b"x" * 2_000_000, "line 2 is longer"),
        (b'prompt,completion\nq,"' + b"x\n" * 900_000, "none of the"),
        (b"colour,size\nred,9\nblue,8\n", "no known layout; their fields are colour, size"),
    ],
)
def test_table_that_cannot_be_used_is_rejected_with_its_reason(data, words, prepared):
    found = prepared(data, name="t.csv", max_line_bytes=1_000_000)

    assert words in found.report.reason


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_packed_file_that_is_cut_off_or_damaged_is_rejected(pack, prepared, chat, jsonl):
    whole = pack(jsonl([chat(f"question {i}", f"answer {i}") for i in range(3_000)]))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF

    cut, damaged, followed = prepared(whole[:-9]), prepared(bytes(flipped)), prepared(whole + b"more text")

    assert "cut off" in cut.report.reason
    assert "damaged" in damaged.report.reason
    assert "followed by something else" in followed.report.reason


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_bomb_is_stopped_early(pack, prepared):
    line = b'{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}\n'
    bomb = pack(line * 2_500_000)  # 200 MB

    found = prepared(bomb)

    assert "unpacks to more than 200 times its size" in found.report.reason
    assert found.report.rows_read < 1_000_000


def test_bomb_is_read_when_that_is_asked_for(prepared):
    row = b'{"messages":[{"role":"user","content":"%d"},{"role":"assistant","content":"%s"}]}\n'
    data = gzip.compress(b"".join(row % (i, b"x" * 900_000) for i in range(100)))

    assert "200 times" in prepared(data).report.reason
    assert prepared(data, max_expansion=2_000).report.rows_kept == 100
    assert (
        "more than 50,000,000 bytes" in prepared(data, max_expansion=2_000, max_unpacked_bytes=50_000_000).report.reason
    )


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"prompt;completion\n", "x", "csv"),
        (b"prompt|completion\n", "x", "csv"),
        (b"prompt\tcompletion\n", "x", "tsv"),
        (b"Frage,Antwort\n", "chat.csv.gz", "csv"),
        (b"Hello, world\n", "chat.txt", "jsonl"),
        (b"text\n", "chat.csv", "csv"),
        (b'["a","b"]\n["c","d"]\n', "x", "jsonl"),
        (b'{"data": ["question", "answer"]}\n', "x", "jsonl"),
        (b'{"data": [{"messages": []}]}', "x", "json"),
    ],
)
def test_format_is_recognised_by_content_first(head, name, expected):
    assert formats.recognise(head, name).name == expected


def test_text_of_a_parquet_file_that_is_not_utf8_costs_its_row(prepared):
    import io

    import pyarrow as pa
    from pyarrow import parquet as pq

    raw = pa.array([b"fine", b"caf\xe9", b"good"], pa.binary())
    answers = pa.Array.from_buffers(pa.string(), 3, raw.buffers())  # as a careless writer does: nothing is checked
    out = io.BytesIO()
    pq.write_table(pa.table({"prompt": pa.array(["a", "b", "c"]), "completion": answers}), out)

    found = prepared(out.getvalue())

    assert found.reasons == {"invalid_utf8": 1}
    assert found.report.rejected_by_reason["invalid_utf8"].first_lines == [2]


def test_tokens_of_a_parquet_file_are_counted_too(prepared, chat, tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    found = prepared(writing.parquet([chat("a b", "c"), chat("d", "e")]), tokenizer=str(tmp_path / "tokenizer.json"))

    assert (found.report.tokens, found.report.approx_tokens.total) == ("exact", 5 + 4 * 4)
