"""Tokens, estimated or counted, and the context window they must fit into."""

from __future__ import annotations

import pytest

from shared.dataset import PrepareOptionsError


@pytest.fixture(scope="module")
def words_tokenizer(tmp_path_factory):
    """A tokenizer.json with a token for each word, so that one can count along."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(3)  # what a model's file may say of its own training is not to be believed here
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


def test_tokens_are_counted_with_a_tokenizer(words_tokenizer, prepared, chat, jsonl):
    rows = jsonl([chat("one two", "three"), chat("one", "two " * 100, system="a b c")])

    found = prepared(rows, tokenizer=words_tokenizer).report

    assert found.tokens == "exact"
    assert (found.approx_tokens.minimum, found.approx_tokens.maximum) == (3 + 2 * 4, 104 + 3 * 4)
    assert prepared(rows).report.tokens == "estimated"


def test_rows_beyond_the_context_window_are_counted_and_kept(words_tokenizer, prepared, chat, jsonl):
    rows = jsonl([chat("a", "b"), chat("c", "word " * 191), chat("d", "word " * 141)])

    found = prepared(rows, tokenizer=words_tokenizer, context_window=100).report

    assert (found.rows_kept, found.rows_over_context, found.tokens_over_context) == (3, 2, 100 + 50)
    assert any("2 rows are longer than the context window of 100 tokens" in warning for warning in found.warnings)


def test_file_that_is_no_tokenizer_is_named(tmp_path, prepared, chat, jsonl):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(PrepareOptionsError, match=r"tokenizer\.json that can be read"):
        prepared(jsonl([chat("a", "b"), chat("c", "d")]), tokenizer=str(path))


def test_mixed_system_prompts_are_warned_of(prepared, chat, jsonl):
    rows = [chat("a", "b", system="Be kind."), chat("c", "d", system="Be brief."), chat("e", "f")]

    found = prepared(jsonl(rows)).report

    assert (found.system_prompts.rows_with, found.system_prompts.rows_without) == (2, 1)
    assert found.system_prompts.distinct == 2
    assert len(found.warnings) == 2
