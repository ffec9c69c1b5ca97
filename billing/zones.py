"""Time zones: those of the IANA, from the package tzdata, so that every machine knows the same ones."""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from billing.errors import InvalidValue

_NO_PLACE = frozenset({"Factory"})  # what a computer has that nobody told where it is


def check_timezone(name: str) -> str:
    """Return the name if it is an IANA time zone, else raise InvalidValue."""
    if name not in _names():
        raise InvalidValue('must be an IANA time zone, like "Europe/Berlin"')
    return name


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of a name.

    A name that is none of the IANA's was taken by an earlier version; it goes on to mean what the machine has for it.
    """
    if name not in _names():
        return ZoneInfo(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


@cache
def _names() -> frozenset[str]:
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(names) - _NO_PLACE
