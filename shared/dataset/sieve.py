"""Row by row: is it kept, on which side of the split, and what is to be said of it."""

from __future__ import annotations

import hashlib
from typing import Protocol

from msgspec import UNSET
from xxhash import xxh3_128, xxh3_128_digest

from shared.dataset import rules, sensitive
from shared.dataset.duplicates import DuplicateTable
from shared.dataset.errors import RowError
from shared.dataset.measures import Measured, Measures
from shared.dataset.options import PrepareOptions
from shared.dataset.reasons import MENDED
from shared.dataset.report import SystemPrompts, Tallies
from shared.dataset.rows import PROMPT_ID, Row, check_keys, encode_row
from shared.dataset.samples import Samples
from shared.dataset.split import Writer, share
from shared.dataset.tokens import TokenCounter

_MAX_PROMPT_ID = 200
_MAX_SYSTEM_PROMPTS = 1000


class Sides(Protocol):
    """Where kept rows go."""

    def add(self, digest: bytes, row: bytes) -> None:
        """Write a row to its side, by a digest of its prompt."""


class Sieve:
    """Checks the rows of one file, drops, samples and counts them, and passes on what is kept.

    held_out: prompts that must not be trained on, because the test file has them. remembers: whether this is that
    file, whose prompts are to be kept in mind. mended: takes rows that are left out, but could be mended, as they would
    be then.
    """

    def __init__(
        self,
        options: PrepareOptions,
        sides: Sides,
        *,
        samples: Samples | None = None,
        held_out: DuplicateTable | None = None,
        remembers: bool = False,
        mended: Writer | None = None,
    ) -> None:
        self._options = options
        self._sides = sides
        self._samples = samples
        self._held_out = held_out
        self._mended = mended
        self.prompts = DuplicateTable() if remembers else None
        self._share = share(options.sample_percent / 100) if options.sample_percent < 100 else None
        self._seed = b"\x00seed:%d" % options.seed
        self._duplicates = DuplicateTable()
        self.line = 0
        self.gives_prompts = False
        self.rows_read = self.rows_kept = self.rows_duplicate = self.rows_sampled_out = self.rows_mendable = 0
        self.rejected = Tallies()
        self.notes = Tallies()
        self._mended_line = 0
        self._system_digests: set[bytes] = set()
        self._rows_with_system = 0
        counter = TokenCounter(options.tokenizer) if options.tokenizer else None
        self.measures = Measures(options.context_window, counter)
        self._measured: list[Measured] = []
        self._contents: list[bytes] = []
        self._content_hash = xxh3_128()

    def note(self, code: str) -> None:
        """Count something mended or ignored in the current line."""
        self.notes.add(code, self.line)
        if code in MENDED:
            self._mended_line = self.line

    def reject(self, error: RowError) -> None:
        """Count why the current line was left out."""
        self.rejected.add(error.reason, self.line)

    def rest(self) -> None:
        """Take stock of what was gathered; called every now and then, and at the end."""
        self.measures.count(self._measured)
        self._measured.clear()
        self._content_hash.update(b"".join(self._contents))
        self._contents.clear()

    def take(self, row: Row, line: memoryview | None, suspicious: bool | None) -> None:
        """Check a row, count it, and hand it to its side if it is kept. Raises: RowError: it cannot be used.

        line: what to look for duplicate keys in; None when that was done. suspicious: whether there may be control
        characters; None: not known.
        """
        given, given_id = row.prompt, row.prompt_id
        keys = 2 * len(row.messages) + 1 + (given is not UNSET) + (given_id is not UNSET)
        texts, characters = self._checked(row)
        has_system = len(texts) % 2
        row.prompt = prompt = texts[has_system]
        prompt_bytes = prompt.encode()
        if not isinstance(given_id, str) or not 0 < len(given_id) <= _MAX_PROMPT_ID:
            row.prompt_id = hashlib.sha256(prompt_bytes).hexdigest()

        encoded = encode_row(row)
        content_end = encoded.rfind(PROMPT_ID)
        if line is not None:
            check_keys(line, keys, encoded, given is UNSET, given_id is UNSET)
        if suspicious or (suspicious is None and rules.has_control_escape(encoded)):
            rules.check_control_characters(texts)
        if self._options.drop:
            sensitive.check(texts, self._options.drop)
        if given != prompt or given_id != row.prompt_id:
            self._note_prompt(given, given_id, row)

        if self.prompts is not None or self._held_out is not None:
            self._look_at_other_side(xxh3_128_digest(prompt_bytes))
        key = hashlib.sha256(prompt_bytes + self._seed).digest()
        if self._share is not None and key[8:16] >= self._share:
            self.rows_sampled_out += 1
        elif not self._duplicates.add(content := xxh3_128_digest(memoryview(encoded)[:content_end])):
            self.rows_duplicate += 1
        else:
            self.rows_kept += 1
            self._sides.add(key, encoded)
            self._contents.append(content)
            self._measured.append((len(texts), characters, len(prompt), content_end))
            if self._samples is not None:
                self._samples.offer(content, encoded)
            if has_system:
                self._count_system_prompt(texts[0])
            if self.measures.counter is not None:
                self.measures.texts.append(texts)
            if self._mended_line == self.line:
                self.rows_mendable += 1

    def _checked(self, row: Row) -> tuple[list[str], int]:
        """Check a conversation's turns; those that are blank are taken out if that is asked for and possible."""
        try:
            return rules.check(row.messages, self._options.max_characters, self.note)
        except RowError as error:
            mended = rules.without_blank_turns(row.messages) if error.reason == "blank_turn" else None
            if not mended:
                raise
            row.messages = mended
            if not self._options.repair:
                self._set_aside(row)
                raise
            self.note("blank_turn_removed")
            return rules.check(mended, self._options.max_characters, self.note)

    def _set_aside(self, row: Row) -> None:
        """Write a row that is left out as it would be mended. Raises: RowError: it cannot be used even then."""
        texts, _ = rules.check(row.messages, self._options.max_characters, self.note)
        rules.check_control_characters(texts)
        sensitive.check(texts, self._options.drop)
        self.rows_mendable += 1
        if self._mended is not None:
            row.prompt = texts[len(texts) % 2]
            row.prompt_id = hashlib.sha256(row.prompt.encode()).hexdigest()
            self._mended.write(encode_row(row) + b"\n")

    def _look_at_other_side(self, prompt: bytes) -> None:
        if self.prompts is not None:
            self.prompts.add(prompt)
        if self._held_out is not None and prompt in self._held_out:
            raise RowError("prompt_in_test")

    def _note_prompt(self, given: object, given_id: object, row: Row) -> None:
        """Say what became of a prompt or a prompt_id that is not the row's own."""
        if isinstance(given, str) and given != row.prompt:
            self.note("prompt_replaced")
        elif not isinstance(given, str) and self.gives_prompts:
            self.note("prompt_missing")
        if isinstance(given_id, str) and given_id != row.prompt_id:
            self.note("prompt_id_replaced")

    def _count_system_prompt(self, text: str) -> None:
        self._rows_with_system += 1
        if len(self._system_digests) < _MAX_SYSTEM_PROMPTS:
            self._system_digests.add(xxh3_128_digest(text.encode()))

    def content_hash(self) -> str:
        """Hash of the kept conversations, one after the other."""
        return f"xxh3_128:{self._content_hash.hexdigest()}"

    def system_prompts(self) -> SystemPrompts:
        """What is known of the kept rows' system messages."""
        return SystemPrompts(
            rows_with=self._rows_with_system,
            rows_without=self.rows_kept - self._rows_with_system,
            distinct=len(self._system_digests),
        )
