"""The rules of this code that no other tool checks; `scripts/check` runs them: python -m scripts.dev.house_rules.

A line that has to break a rule says why, at its end or in the line above: `# allowed: <reason>`.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
FOLDERS = ("api", "billing", "db", "scripts", "tests", "worker")

_SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE \S+( AS \w+)? SET|DELETE FROM|WITH (RECURSIVE )?\w+ (\(.*\) )?AS"
    r"|TRUNCATE|COPY|GRANT|REVOKE"
    r"|(CREATE|ALTER|DROP) (UNIQUE )?(DATABASE|FUNCTION|INDEX|ROLE|SCHEMA|SEQUENCE|TABLE|TRIGGER|TYPE|USER|VIEW)"
    r"|LOCK TABLE|SET (LOCAL|SESSION)|(VACUUM|ANALYZE|EXPLAIN) ?\(?)\b"
)
_LOCK = re.compile(r"\bFOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)\b|\bpg_(try_)?advisory_|\bLOCK\s+TABLE\b")
_LOCK_FILE = "db/core/locks.py"
_MESSAGE_FILES = ("worker/follow_up.py", "worker/traced.py")
_SENDS = {"publish", "send_task", "apply_async", "delay"}
_ALLOWED = re.compile(r"# allowed: \S")
_OURS = ("api", "billing", "db", "scripts", "tests", "worker")
_PATCHES = {"setattr", "delattr", "patch", "object"}


@dataclass(frozen=True, slots=True)
class Module:
    """A file of Python: its path from the root, with slashes, and its tree."""

    path: str
    tree: ast.Module

    def is_in(self, *folders: str) -> bool:
        """Whether the file is in one of the folders, at any depth."""
        return any(PurePosixPath(self.path).is_relative_to(folder) for folder in folders)


Found = Iterator[tuple[int, str]]
"""Lines that break a rule, and how."""


def sql_only_in_db(module: Module) -> Found:
    """SQL is in `db/`, where a query is found by the folder of its capability."""
    if not module.is_in("api", "billing", "scripts", "worker") or module.is_in("scripts/dev"):
        return
    for line, text in _texts(module.tree):
        if _SQL.match(text):
            yield line, "SQL belongs in db/"


def locks_only_in_the_lock_file(module: Module) -> Found:
    """Every lock is in db/core/locks.py, which states the order in which they are taken."""
    if not module.is_in("api", "billing", "db", "scripts", "worker") or module.path == _LOCK_FILE:
        return
    if module.is_in("scripts/dev"):
        return
    for line, text in _texts(module.tree):
        if found := _LOCK.search(text):
            yield line, f"{' '.join(found[0].split())} belongs in {_LOCK_FILE}"


def tests_patch_public_names(module: Module) -> Found:
    """Tests replace public constants, arguments and settings, so that private names can change freely."""
    if not module.is_in("tests"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _last_name(node.func) in _PATCHES:
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and _is_private(argument.value):
                    yield node.lineno, f"a test patches the private name {argument.value!s}"
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and _is_private(target.attr) and _root(target) not in ("self", "cls"):
                yield target.lineno, f"a test patches the private name {target.attr}"


def private_names_stay_in_their_module(module: Module) -> Found:
    """What another module needs has a public name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _OURS:
            for each in node.names:
                if _is_private(each.name):
                    yield node.lineno, f"{each.name} is private to {node.module}"


def no_switch_in_the_domain(module: Module) -> Found:
    """A function of the domain changes nothing at the level of a module: its arguments decide what it returns."""
    if not module.is_in("billing"):
        return
    shared = set(_names_of_module(module.tree))
    for function in ast.walk(module.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        own = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
        own |= {
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield node.lineno, f"a function assigns {', '.join(node.names)} of its module"
            elif isinstance(node, ast.Call) and _last_name(node.func) == "globals":
                yield node.lineno, "a function reaches for globals()"
            for target in _targets(node):
                root = None if isinstance(target, ast.Name) else _root(target)
                if root in shared - own:
                    yield target.lineno, f"a function changes {root}, which the whole process shares"


def no_records_outside_db(module: Module) -> Found:
    """What leaves `db/` has a type of ours, never the driver's record."""
    if not module.is_in("api", "scripts", "worker") or module.is_in("scripts/dev"):
        return
    for node in ast.walk(module.tree):
        if (isinstance(node, ast.Attribute) and node.attr == "Record" and _root(node) == "asyncpg") or (
            isinstance(node, ast.ImportFrom) and node.module == "asyncpg" and "Record" in [a.name for a in node.names]
        ):
            yield node.lineno, "asyncpg.Record stays in db/"


def messages_only_by_a_commit_or_a_follow_up(module: Module) -> Found:
    """A unit of work sends messages after its commit; `worker.follow_up` is the one other way, with the request id."""
    if not module.is_in("api", "billing", "scripts", "worker") or module.is_in("scripts/dev"):
        return
    if module.path in _MESSAGE_FILES:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _last_name(node.func) in _SENDS:
            yield node.lineno, f"{_last_name(node.func)} goes through a unit of work or worker.follow_up"


Rule = Callable[[Module], Found]
RULES: tuple[Rule, ...] = (
    sql_only_in_db,
    locks_only_in_the_lock_file,
    tests_patch_public_names,
    private_names_stay_in_their_module,
    no_switch_in_the_domain,
    no_records_outside_db,
    messages_only_by_a_commit_or_a_follow_up,
)


def broken_rules(path: str, source: str) -> list[str]:
    """One line for each place of a file that breaks a rule: path, line, rule, reason."""
    module = Module(path, ast.parse(source))
    lines = source.splitlines()
    return [
        f"{path}:{line}: {rule.__name__}: {reason}"
        for rule in RULES
        for line, reason in sorted(set(rule(module)))
        if not any(_ALLOWED.search(text) for text in lines[max(line - 2, 0) : line])
    ]


def main() -> int:
    """Check every file; 1 if a rule is broken."""
    broken = [
        fault
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for fault in broken_rules(file.relative_to(ROOT).as_posix(), file.read_text())
    ]
    print("\n".join(broken), end="\n" if broken else "")
    return 1 if broken else 0


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a file that are no docstrings; an f-string counts as its parts."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else []


def _names_of_module(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        for target in _targets(node):
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def _root(node: ast.expr) -> str:
    """`a` of `a.b[c].d`; empty if it is no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else _root(node)


def _is_private(name: object) -> bool:
    parts = name.split(".") if isinstance(name, str) else []
    return any(part.startswith("_") and not part.startswith("__") for part in parts)


if __name__ == "__main__":
    sys.exit(main())
