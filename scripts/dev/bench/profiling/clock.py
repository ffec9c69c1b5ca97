"""A clock that says which stage of the work the time belongs to, and how much of it was spent on SQL statements.

Stages nest; the time of an inner one is not counted in the outer one. That only holds while one task works at a time,
which is how a worker works off its inbox.
"""

import functools
import gc
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from asyncpg.cursor import Cursor
from asyncpg.prepared_stmt import PreparedStatement

_OURS = ("api", "billing", "db", "worker")
_METHODS = ("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany")
_SHOWN = 76


@dataclass
class Spent:
    """How often, and seconds: on the wall, of this process's CPU, and on statements, which is part of the wall's."""

    calls: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    statements_s: float = 0.0


@dataclass
class Clock:
    """What was measured: by stage, and by statement as the client sees it (a round trip with its encoding)."""

    stages: dict[str, Spent] = field(default_factory=dict)
    statements: dict[str, Spent] = field(default_factory=dict)
    _open: list[list[Any]] = field(default_factory=list)

    def enter(self, name: str) -> None:
        """Begin a stage inside the present one."""
        self._open.append([name, time.perf_counter(), time.process_time(), 0.0, 0.0])

    def on_collection(self, phase: str, _: dict[str, int]) -> None:
        """Called by the garbage collector at the beginning and end of its work, wherever that falls."""
        if phase == "start":
            self.enter("garbage collection")
        elif self._open and self._open[-1][0] == "garbage collection":
            self.leave()

    def leave(self, statement: str | None = None) -> None:
        """End the present stage, or a statement within it."""
        name, began, cpu_began, inner_s, inner_cpu_s = self._open.pop()
        taken_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        spent = Spent(1, taken_s - inner_s, cpu_s - inner_cpu_s)
        if self._open:
            self._open[-1][3] += taken_s
            self._open[-1][4] += cpu_s
        if statement is None:
            _add(self.stages, name, spent)
            return
        _add(self.statements, statement, spent)
        spent.calls, spent.statements_s = 0, spent.wall_s
        _add(self.stages, self._open[-1][0] if self._open else name, spent)


def _add(spent: dict[str, Spent], name: str, more: Spent) -> None:
    known = spent.setdefault(name, Spent())
    known.calls += more.calls
    known.wall_s += more.wall_s
    known.cpu_s += more.cpu_s
    known.statements_s += more.statements_s


def label(sql: str) -> str:
    """The beginning of a statement, the same for the client's text and for the server's."""
    if copied := re.match(r'COPY "?(\w+)"?\s*\(', sql):
        return f"COPY {copied[1]}"
    return " ".join(sql.rstrip(" ;").split())[:_SHOWN]


@contextmanager
def measuring(modules: str, functions: Sequence[str]) -> Iterator[tuple[Clock, list[str]]]:
    """Measure all coroutine functions of the packages in `modules`, the plain functions named, and every statement.

    Yields the clock, and which of the named functions there are not (the code has changed since).
    """
    clock = Clock()
    undo: list[Callable[[], None]] = []
    found = [_find(name) for name in functions]
    missing = [name for name, target in zip(functions, found, strict=True) if target is None]
    wanted = {id(target): target for target in (*found, *_coroutines(modules)) if target is not None}
    gc.callbacks.append(clock.on_collection)
    undo.append(lambda: gc.callbacks.remove(clock.on_collection))
    for target in wanted.values():
        undo += _replace_everywhere(target, _timed(clock, target))
    for owner in (asyncpg.Connection, PreparedStatement, Cursor):
        for name in (*_METHODS, "copy_records_to_table"):
            if name in vars(owner):
                undo.append(_replace(owner, name, _timed_statement(clock, getattr(owner, name))))
    try:
        yield clock, missing
    finally:
        for each in undo:
            each()


def _coroutines(modules: str) -> list[Any]:
    return [
        value
        for module in list(sys.modules.values())
        if module.__name__.startswith(modules)
        for value in vars(module).values()
        if inspect.iscoroutinefunction(value) and value.__module__ == module.__name__
    ]


def _find(path: str) -> Any:
    """A function by its dotted path, or None; of a class its `__post_init__`, which does a dataclass's work."""
    module, _, name = path.rpartition(".")
    owner: Any = sys.modules.get(module)
    if owner is None:
        module, _, class_name = module.rpartition(".")
        owner = getattr(sys.modules.get(module), class_name, None)
    return getattr(owner, name, None)


def _timed(clock: Clock, function: Any) -> Any:
    name = f"{function.__module__}.{function.__qualname__}".replace(".__post_init__", "")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def timed_coroutine(*positional: Any, **named: Any) -> Any:
            clock.enter(name)
            try:
                return await function(*positional, **named)
            finally:
                clock.leave()

        return timed_coroutine

    @functools.wraps(function)
    def timed(*positional: Any, **named: Any) -> Any:
        clock.enter(name)
        try:
            return function(*positional, **named)
        finally:
            clock.leave()

    return timed


def _timed_statement(clock: Clock, method: Any) -> Any:
    @functools.wraps(method)
    async def timed(self: Any, *positional: Any, **named: Any) -> Any:
        if method.__name__ == "copy_records_to_table":
            statement = f"COPY {positional[0]}"
        elif isinstance(self, asyncpg.Connection):
            statement = label(positional[0])
        else:
            statement = label(getattr(self, "_query", "") or self.get_query())
        clock.enter(statement)
        try:
            return await method(self, *positional, **named)
        finally:
            clock.leave(statement)

    return timed


def _replace_everywhere(target: Any, new: Any) -> list[Callable[[], None]]:
    """Put a function in the place of another wherever one of our modules or classes names it."""
    undo = []
    for module in list(sys.modules.values()):
        if module.__name__.partition(".")[0] not in _OURS:
            continue
        for owner in (module, *(value for value in vars(module).values() if isinstance(value, type))):
            undo += [_replace(owner, name, new) for name, value in list(vars(owner).items()) if value is target]
    return undo


def _replace(owner: Any, name: str, new: Any) -> Callable[[], None]:
    old = getattr(owner, name)
    setattr(owner, name, new)
    return lambda: setattr(owner, name, old)
