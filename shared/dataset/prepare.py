"""Turn a chat dataset into train and test rows and a report, in one pass over its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec
import xxhash
from msgspec import UNSET
from xxhash import xxh3_128_digest

from shared.dataset import rules
from shared.dataset.duplicates import DuplicateTable
from shared.dataset.encodings import UTF8_MARK, EncodingWatch
from shared.dataset.errors import DatasetRejectedError, LineTooLongError, RowError, UnusableFileError
from shared.dataset.formats import check_format
from shared.dataset.layouts import OPENAI, PROMPT_MESSAGES, TITLES, detect_layout, read_row
from shared.dataset.lines import BLOCK, Span, blocks, whole_lines
from shared.dataset.measures import Measured, Measures
from shared.dataset.options import PrepareOptions
from shared.dataset.report import Progress, Report, Tallies
from shared.dataset.rows import PROMPT_ID, Row, check_keys, decode_row, encode_row
from shared.dataset.split import Split, Writer, share
from shared.dataset.verdict import check_enough

_HEAD_BYTES = 64 * 1024
_DETECT_LINES = 20
_HOPELESS_ROWS = 1000
_MAX_PROMPT_ID = 200
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def prepare(
    source: Iterable[bytes],
    *,
    train: Writer,
    test: Writer,
    options: PrepareOptions,
    name: str,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Check, clean, sample and split the conversations of a dataset.

    Args: source: the file's bytes in blocks of any size, read once. train, test: take the rows; the caller commits them
    after this returned, and throws them away when it raised. name: the dataset's name, for the report and the wording.
    on_progress: called about every 4 MiB; may raise to stop.

    Returns: the report of a usable dataset. Rows are written as {"prompt", "messages": [{"content", "role"}],
    "prompt_id"}; the prompt is the first user message.
    Raises: DatasetRejectedError: nothing to train on; carries the report.
    """
    preparation = _Preparation(train, test, options, name)
    try:
        preparation.read(source, on_progress)
        preparation.finish()
    except UnusableFileError as error:
        raise DatasetRejectedError(preparation.rejected(error)) from None
    finally:
        preparation.close()
    return preparation.report(usable=True)


class _Preparation:
    """The state of one pass."""

    def __init__(self, train: Writer, test: Writer, options: PrepareOptions, name: str) -> None:
        self._options = options
        self._name = name
        self._split = Split(train, test, options.test_fraction)
        self._sample = share(options.sample_percent / 100) if options.sample_percent < 100 else None
        self._seed = b"\x00seed:%d" % options.seed
        self._duplicates = DuplicateTable()
        self._hash = xxhash.xxh3_128()
        self._format: str | None = None
        self._layout: str | None = None
        self._bytes_read = self._line = 0
        self._rows_read = self._rows_duplicate = self._rows_sampled_out = 0
        self._rejected = Tallies()
        self._notes = Tallies()
        self._measures = Measures()
        self._measured: list[Measured] = []
        self._encoding = EncodingWatch()

    # Reading

    def read(self, source: Iterable[bytes], on_progress: Callable[[Progress], None] | None) -> None:
        """Read every row; hand what is kept to the split."""
        stream = self._counted(blocks(source))
        head = self._head(stream)
        self._format = check_format(head, self._name)
        if head.startswith(UTF8_MARK):
            self._notes.add("bom_removed", 1)
            head = head[len(UTF8_MARK) :]
        self._detect_layout(head)
        reported = 0
        try:
            for span in whole_lines(chain((head,), stream), self._options.max_line_bytes):
                self._read_span(span)
                if on_progress and self._bytes_read - reported >= BLOCK:
                    reported = self._bytes_read
                    on_progress(Progress(self._bytes_read, self._rows_read))
        except LineTooLongError:
            raise self._line_too_long(self._line + 1) from None

    def _counted(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        for block in stream:
            self._bytes_read += len(block)
            self._hash.update(block)
            yield block

    def _head(self, stream: Iterator[bytes]) -> bytes:
        """The first block, or as many small ones as it takes to recognise the file."""
        head = bytearray()
        for block in stream:
            head += block
            if len(head) >= _HEAD_BYTES and (b"\n" in block or len(head) > self._options.max_line_bytes):
                break
        return bytes(head)

    def _detect_layout(self, head: bytes) -> None:
        lines = head.split(b"\n", _DETECT_LINES)
        first_lines = [line for line in lines[:_DETECT_LINES] if len(line) <= self._options.max_line_bytes]
        self._layout = detect_layout(line for line in first_lines if line.strip())
        if self._layout in TITLES:
            raise UnusableFileError(
                f"the rows look like {TITLES[self._layout]}; that layout is not supported yet, only rows with a list "
                "of messages (role and content) are"
            )

    def _read_span(self, span: Span) -> None:
        """Take whole lines one by one. Every row of a file comes through here: few calls, no copies."""
        buffer, start, stop = span
        view, find = memoryview(buffer), buffer.find
        scan = rules.ControlScan(buffer, start)
        max_line_bytes, take = self._options.max_line_bytes, self._take
        broken_before = self._broken_utf8()
        while start < stop:
            newline = find(b"\n", start, stop)
            end = newline if newline >= 0 else stop
            self._line += 1
            if end - start > max_line_bytes:
                raise self._line_too_long(self._line)
            suspicious = scan.next_at < end
            if suspicious:
                scan.pass_line(end)
            line = view[start:end]
            try:
                try:
                    row = decode_row(line)
                except _MALFORMED:
                    self._read_closely(bytes(line), suspicious)
                else:
                    self._rows_read += 1
                    take(row, line, suspicious)
            except RowError as error:
                self._rejected.add(error.reason, self._line)
            start = end + 1
        self._encoding.look_at(span, has_broken=self._broken_utf8() > broken_before)
        self._measures.count(self._measured)
        self._measured.clear()
        self._give_up_if_hopeless()

    def _read_closely(self, line: bytes, suspicious: bool) -> None:
        """Take a line the strict decoder refused. Raises: RowError: it cannot be used."""
        if line.strip():
            self._rows_read += 1
            self._take(read_row(line, self._note), None, suspicious)
        else:
            self._note("blank_line")

    def _note(self, code: str) -> None:
        self._notes.add(code, self._line)

    # One row

    def _take(self, row: Row, line: memoryview | None, suspicious: bool) -> None:
        """Check a row, count it, and hand it to the split if it is kept. Raises: RowError: it cannot be used.

        line: what to look for duplicate keys in; None when that was done.
        """
        given, given_id = row.prompt, row.prompt_id
        if self._layout is None:  # none of the first lines was in a known one
            self._layout = OPENAI if given is UNSET and given_id is UNSET else PROMPT_MESSAGES
        keys = 2 * len(row.messages) + 1 + (given is not UNSET) + (given_id is not UNSET)
        texts, characters = rules.check(row.messages, self._options.max_characters, self._note)
        has_system = len(texts) % 2
        row.prompt = prompt = texts[has_system]
        digest = hashlib.sha256(prompt.encode())
        if not isinstance(given_id, str) or not 0 < len(given_id) <= _MAX_PROMPT_ID:
            row.prompt_id = digest.hexdigest()

        encoded = encode_row(row)
        content_end = encoded.rfind(PROMPT_ID)
        if line is not None:
            check_keys(line, keys, encoded, given is UNSET, given_id is UNSET)
        if suspicious:
            rules.check_control_characters(texts)
        if given != prompt or given_id != row.prompt_id:
            self._note_prompt(given, given_id, row)

        digest.update(self._seed)
        key = digest.digest()
        if self._sample is not None and key[8:16] >= self._sample:
            self._rows_sampled_out += 1
        elif not self._duplicates.add(xxh3_128_digest(memoryview(encoded)[:content_end])):
            self._rows_duplicate += 1
        else:
            self._split.add(key, encoded)
            self._measured.append((len(texts), characters, len(prompt), content_end))

    def _note_prompt(self, given: object, given_id: object, row: Row) -> None:
        """Say what became of a prompt or a prompt_id that is not the row's own."""
        if isinstance(given, str) and given != row.prompt:
            self._note("prompt_replaced")
        elif not isinstance(given, str) and self._layout == PROMPT_MESSAGES:
            self._note("prompt_missing")
        if isinstance(given_id, str) and given_id != row.prompt_id:
            self._note("prompt_id_replaced")

    # The file as a whole

    def _broken_utf8(self) -> int:
        return self._rejected.count("invalid_utf8")

    def _give_up_if_hopeless(self) -> None:
        """Do not read gigabytes of something that is no JSON at all."""
        malformed = self._rejected.count("invalid_json") + self._rejected.count("invalid_utf8")
        if self._rows_read >= _HOPELESS_ROWS and malformed == self._rows_read:
            self._encoding.check(self._broken_utf8(), self._rows_read)
            raise UnusableFileError(f"the file is not JSON Lines: none of its first {malformed:,} rows is valid JSON")

    def _line_too_long(self, line: int) -> UnusableFileError:
        return UnusableFileError(
            f"line {line:,} is longer than {self._options.max_line_bytes:,} bytes; "
            "a JSON Lines file holds one conversation on each line"
        )

    def finish(self) -> None:
        """Pass on what is left. Raises: UnusableFileError: there is too little to train and test on."""
        several_prompts = self._split.finish()
        self._encoding.check(self._broken_utf8(), self._rows_read)
        check_enough(
            bytes_read=self._bytes_read,
            rows_read=self._rows_read,
            rows_kept=self._rows_kept(),
            rows_sampled_out=self._rows_sampled_out,
            rejected=self._rejected,
            several_prompts=several_prompts,
            options=self._options,
        )

    def close(self) -> None:
        """Let go of what a stopped preparation holds."""
        self._split.close()

    # The report

    def _rows_kept(self) -> int:
        return self._split.train.rows + self._split.test.rows

    def rejected(self, error: UnusableFileError) -> Report:
        """The report of a dataset that cannot be used."""
        self._split.finish()
        self._format = error.format or self._format
        return self.report(usable=False, reason=error.reason)

    def report(self, *, usable: bool, reason: str | None = None) -> Report:
        """What was found so far."""
        return Report(
            dataset=self._name,
            usable=usable,
            reason=reason,
            format=self._format,
            layout=self._layout,
            bytes_read=self._bytes_read,
            rows_read=self._rows_read,
            rows_kept=self._rows_kept(),
            rows_train=self._split.train.rows,
            rows_test=self._split.test.rows,
            rows_duplicate=self._rows_duplicate,
            rows_sampled_out=self._rows_sampled_out,
            rows_rejected=self._rejected.total,
            rejected_by_reason=self._rejected.most_frequent_first(),
            notes=self._notes.most_frequent_first(),
            turns=self._measures.turns.histogram(),
            characters=self._measures.characters.histogram(),
            approx_tokens=self._measures.approx_tokens.histogram(),
            content_hash=f"xxh3_128:{self._hash.hexdigest()}",
            test_sha256=self._split.test.sha256() if usable else None,
            options=self._options,
        )
