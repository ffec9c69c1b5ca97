"""Time zones are those of the IANA, whatever the machine has for others."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from billing.errors import InvalidValue
from billing.periods import start_of_period
from billing.zones import check_timezone, zone


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Asia/Calcutta", "Etc/GMT+12", "EST5EDT"]
)
def test_a_zone_of_the_iana_is_taken(name: str) -> None:
    assert check_timezone(name) == name
    assert zone(name).key == name


@pytest.mark.parametrize(
    "name",
    "localtime posixrules Factory right/Europe/Berlin posix/Europe/Berlin europe/berlin Mars/Olympus Europe Europe/"
    " /etc/localtime ../zones zone.tab tzdata.zi leapseconds CEST +02:00".split(),
)
def test_every_other_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match=r"^must be an IANA time zone, like \"Europe/Berlin\"$"):
        check_timezone(name)


def test_the_machine_does_not_say_when_a_month_begins(tmp_path: Path) -> None:
    (tmp_path / "Pacific").mkdir()
    utc = files("tzdata").joinpath("zoneinfo", "UTC").read_bytes()
    (tmp_path / "Pacific" / "Kiritimati").write_bytes(utc)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    zone.cache_clear()
    try:
        assert zoneinfo.ZoneInfo("Pacific/Kiritimati").utcoffset(datetime(2024, 4, 1)) == timedelta(0)
        assert start_of_period(202404, "Pacific/Kiritimati") == datetime(2024, 3, 31, 10, tzinfo=UTC)
    finally:
        zoneinfo.reset_tzpath(before)
        zoneinfo.ZoneInfo.clear_cache()
