"""Which of the forms that a route offers a caller wants (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

_ANYTHING = "*/*"


def accepted(accept: str, offered: Sequence[str]) -> str | None:
    """The media type that an Accept header likes best; the first one if it asks for nothing, None if it takes none.

    Among equally liked ones it is the one named most exactly, then the one offered first.
    """
    ranges = dict(_range(part) for part in accept.lower().split(",") if part.strip())
    if not ranges:
        return offered[0]
    liked = {media_type: _liking(ranges, media_type) for media_type in offered}
    best = max(offered, key=lambda media_type: liked[media_type])
    return best if liked[best][0] > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip() for each in part.split(";"))
    weights = [value.strip() for key, _, value in (each.partition("=") for each in parameters) if key.strip() == "q"]
    return name, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    """A weight from 0 to 1; one that cannot be read is 0, so that it asks for nothing."""
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _liking(ranges: dict[str, float], media_type: str) -> tuple[float, int]:
    """The weight of the most exact range that holds a media type, and how exact it is."""
    kind = media_type.partition("/")[0]
    for exactness, name in enumerate((media_type, f"{kind}/*", _ANYTHING)):
        if name in ranges:
            return ranges[name], -exactness
    return 0.0, 0
