"""Leads from JSON and NDJSON, streamed."""

import codecs
import json
import re
from collections.abc import Iterator

from billing.lead_files import lead_entries
from billing.lead_files.lead_entries import SHOWN_BYTES, BadLines, Entry, Line, Stream, encode

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_BREAKS = re.compile(r"[\r\n]+")


def ndjson_leads(stream: Stream) -> Iterator[Entry | BadLines]:
    """One lead per line; empty lines are passed over."""
    number = 0
    while line := stream.readline(lead_entries.LONGEST_LEAD_BYTES):
        number += 1
        if len(line) == lead_entries.LONGEST_LEAD_BYTES and not line.endswith(b"\n"):
            shown = (Line(number, line[:SHOWN_BYTES]),)
            while line and not line.endswith(b"\n"):
                line = stream.readline(lead_entries.BLOCK_BYTES)
            yield BadLines(shown, f"is longer than {lead_entries.LONGEST_LEAD_BYTES} bytes; its beginning is kept here")
        elif text := line.strip():
            yield Entry(text, (Line(number, text),))


def json_leads(stream: Stream) -> Iterator[Entry | BadLines]:
    """The elements of a JSON list, or one lead."""
    window = _Window(stream)
    in_list = window.next_character() == "["
    if in_list:
        window.take()
        in_list = window.next_character() != "]" or window.take() != "]"
    while window.next_character():
        number = window.line
        try:
            text = window.value()
        except (ValueError, RecursionError) as error:
            yield _broken_off(window, str(error) or "it is nested too deeply")
            return
        body = encode(_LINE_BREAKS.sub(" ", text))
        yield Entry(body, (Line(number, body),))
        if in_list and window.next_character() not in (",", "]"):
            yield _broken_off(window, "a comma or ] is missing")
            return
        in_list = in_list and window.take() == ","
    if in_list:
        yield _broken_off(window, "it ends within the list")


def _broken_off(window: "_Window", reason: str) -> BadLines:
    shown = Line(window.line, encode(window.rest()[:SHOWN_BYTES]))
    return BadLines((shown,), f"is not valid JSON ({reason}); the rest of the file was not read")


class _Window:
    """The part of a text that is being read, with the number of the line it stands in."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._value = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def next_character(self) -> str:
        """The next character that is not space, still unread; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self.skip((match.end() if match else self._at) - self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self) -> str:
        """Read the next character."""
        self.skip(1)
        return self._text[self._at - 1]

    def skip(self, count: int) -> None:
        """Leave characters behind."""
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def value(self) -> str:
        """Read one JSON value; raises ValueError if there is none. Its end may not be read yet."""
        while True:
            try:
                _, end = self._value(self._text, self._at)
                if end < len(self._text) or not self._more():
                    break
            except ValueError as error:
                if len(self._text) - self._at > lead_entries.LONGEST_LEAD_BYTES or not self._more():
                    raise ValueError(getattr(error, "msg", error)) from None
        at = self._at
        self.skip(end - at)
        return self._text[at:end]

    def rest(self) -> str:
        """What was read ahead."""
        return self._text[self._at :]

    def _more(self) -> bool:
        if self._ended:
            return False
        block = self._stream.read1(lead_entries.BLOCK_BYTES)
        self._ended = not block
        self._text, self._at = self._text[self._at :] + self._decode(block, final=self._ended), 0
        return True
