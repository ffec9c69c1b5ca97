"""Papers as PDF, set by Typst from templates of ours, in fonts of packages: every machine makes the same bytes."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import typst

from db.reports import fonts

_LONG_WORD = re.compile(r"\S{24,}")
_ZERO_WIDTH_SPACE = "\u200b"
_PAPER = Path(__file__).with_name("paper.typ")


def pdf_from_template(template: Path, texts: Mapping[str, Any], day: date) -> bytes:
    """The PDF that Typst makes of a template below `paper.typ`; `texts` are JSON, so none is read as markup.

    A character that no font has is named by its number.
    """
    pdf: bytes = typst.compile(
        _PAPER.read_bytes() + template.read_bytes(),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"doc": fonts.spelled(json.dumps(texts, ensure_ascii=False))},
        timestamp=datetime.combine(day, time(), UTC),
        format="pdf",
    )
    return pdf


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder) for folder in fonts.folders()])


def breaking(text: str) -> str:
    """A text with places to break within long words, which would run over the edge."""
    return _LONG_WORD.sub(lambda word: _ZERO_WIDTH_SPACE.join(word[0]), text)
