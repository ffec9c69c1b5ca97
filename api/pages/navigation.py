"""The way around: every page that has a place, and who is shown it. Pages that are not there yet are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.routing import iter_route_contexts

from api.access.permissions import Caller, Permission


@dataclass(frozen=True, slots=True)
class Entry:
    """A page and what a person needs to be shown it; `for_partners`: also people who are bound to a partner."""

    path: str
    label: str
    permission: Permission = Permission.READ
    for_partners: bool = False
    for_partners_only: bool = False

    def is_for(self, caller: Caller) -> bool:
        """Whether a caller is led there."""
        bound = caller.partner_id is not None
        fits = (self.for_partners or self.for_partners_only) if bound else not self.for_partners_only
        return fits and caller.may(self.permission, caller.partner_id)


GROUPS = (
    (
        "Work",
        (
            Entry("/partner", "Overview", for_partners_only=True),
            Entry("/dashboard", "Home"),
            Entry("/bills", "Bills", for_partners=True),
            Entry("/month", "Month end"),
        ),
    ),
    (
        "Records",
        (
            Entry("/partners", "Partners"),
            Entry("/activity", "Activity", for_partners=True),
            Entry("/import", "Import", Permission.ADMIN),
            Entry("/what-if", "What if", Permission.BILL),
        ),
    ),
    (
        "Exceptions",
        (
            Entry("/quarantine", "Quarantine"),
            Entry("/held", "Held"),
            Entry("/dead-letters", "Dead letters"),
        ),
    ),
    (
        "Installation",
        (Entry("/settings", "Settings", Permission.ADMIN),),
    ),
)


def groups_for(request: Request, caller: Caller) -> list[tuple[str, Sequence[Entry]]]:
    """The entries that the caller is shown, in their groups."""
    there = paths_of(request)
    shown = [(name, [each for each in group if each.path in there and each.is_for(caller)]) for name, group in GROUPS]
    return [(name, entries) for name, entries in shown if entries]


def home_of(request: Request, caller: Caller) -> str:
    """Where a person begins: the first entry, or their account while they have no role."""
    groups = groups_for(request, caller)
    return groups[0][1][0].path if groups else "/account"


def paths_of(request: Request) -> frozenset[str]:
    """The paths that the app serves."""
    state = request.app.state
    if not hasattr(state, "paths"):
        state.paths = frozenset(str(each.path) for each in iter_route_contexts(request.app.routes))
    paths: frozenset[str] = state.paths
    return paths
