"""Forms with files as browsers send them, and what no browser sends."""

import pytest

from api.multipart import SentFile, read_multipart

TYPE = "multipart/form-data; boundary=----x"


def part(head: str, content: bytes = b"") -> bytes:
    return b'------x\r\nContent-Disposition: form-data; name="' + head.encode() + b'"\r\n\r\n' + content + b"\r\n"


END = b"------x--\r\n"


def test_texts_and_files_are_as_they_were_sent() -> None:
    content = b"a\r\n--\r\n\x00\xff\r\n"
    body = part("t", b"1") + part("t", "ü".encode()) + part('f"; filename="ä.csv', content) + part("e") + END
    assert read_multipart(body, TYPE) == ({"t": ["1", "ü"], "e": [""]}, {"f": SentFile("ä.csv", content)})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (part("t") + END, "multipart/form-data"),
        (b"", TYPE),
        (part("t"), TYPE),
        (part("t", b"\xff") + END, TYPE),
        (b"------x\r\nContent-Disposition: form-data\r\n\r\n\r\n" + END, TYPE),
        (b"------x\r\n" + b"x" * 5000 + part("t") + END, TYPE),
        (part("t") * 501 + END, TYPE),
    ],
    ids=["no boundary", "empty", "no end", "no UTF-8", "no name", "long head", "many parts"],
)
def test_what_no_browser_sends_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError):
        read_multipart(body, kind)
