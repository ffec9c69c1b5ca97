"""The faults of the design, shortened; `scripts/chaos --full` does them as often as the design asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.dev.chaos.catalogue import FAULTS, fault
from scripts.dev.chaos.scene import Fault, Outcome, play
from scripts.dev.chaos.stack import Stack, running_stack
from scripts.dev.chaos.up import running_up

SHORT = (
    "worker-child-killed",
    "postgres-killed",
    "cut-at-commit",
)
"""What every test run does, once each, on one stack; the others are slow."""

LONG = [each for each in FAULTS if each.strike is not None and each.name != "redis-frozen-120"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("faults") / "home", proxied=True) as stack:
        yield stack


def _cost_nothing(outcome: Outcome) -> None:
    found = outcome.judgement
    assert (found.lost, found.billed_twice, found.wrong_totals, found.false_2xx) == (0, 0, 0, 0), found.details
    assert outcome.complaints == []
    assert found.leads > 0
    assert outcome.recoveries_s != []


@pytest.mark.parametrize("name", SHORT)
def test_a_fault_costs_nothing(shared: Stack, name: str) -> None:
    _cost_nothing(play(fault(name), shared, times=1, seed=1, name=name))


@pytest.mark.slow
@pytest.mark.parametrize("each", LONG, ids=lambda each: each.name)
def test_a_fault_that_comes_again_costs_nothing(tmp_path: Path, each: Fault) -> None:
    if each.is_up:
        with running_up(tmp_path / "home") as up:
            _cost_nothing(play(each, up, times=2, seed=2, name=each.name))
    else:
        with running_stack(tmp_path / "home", app=each.app, proxied=each.proxied) as stack:
            _cost_nothing(play(each, stack, times=min(3, each.full), seed=2, name=each.name))


def test_what_is_not_built_yet_is_named() -> None:
    assert [each.name for each in FAULTS if each.strike is None] == []
