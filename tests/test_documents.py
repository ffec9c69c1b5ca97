"""The documentation holds together: every link leads somewhere, every page can be found, every diagram is whole."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "terraform/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_BRACKETS = {"[": "]", "(": ")", "{": "}"}


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _links(text: str) -> list[str]:
    """Where a page links to, but for code and other sites."""
    prose = re.sub(r"`[^`]*`", "", _CODE.sub("", text))
    return [target for target in _LINK.findall(prose) if not re.match(r"[a-z]+:", target)]


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    anchors: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", _CODE.sub("", text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        seen = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", known) is not None for known in anchors)
        anchors.append(f"{anchor}-{seen}" if seen else anchor)
    return set(anchors)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in _links(page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert unquote(anchor) in _anchors(file.read_text()), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            paths = (target.partition("#")[0] for target in _links(page.read_text()))
            waiting += [(page.parent / path).resolve() for path in paths if path]
    assert sorted(map(_name, set(PAGES) - reached)) == []


def test_every_decision_is_listed_with_its_title() -> None:
    listed = re.findall(r"^- \[(\d{4})\]\((.+)\) (.+)$", (ROOT / "docs/decisions/README.md").read_text(), re.MULTILINE)
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    titles = [re.sub(r"^# \d+\. ", "", page.read_text().splitlines()[0]) for page in pages]
    assert listed == [(page.name[:4], page.name, title) for page, title in zip(pages, titles, strict=True)]


def test_the_glossary_explains_each_word_once_in_alphabetical_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = [re.sub(r"[^a-z]", "", word.lower()) for word, _ in rows if word not in ("word", "---")]
    assert len(words) > 60
    assert words == sorted(set(words))


def test_the_readme_names_the_commands_of_the_first_day() -> None:
    readme, contributing = ((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    for command in ("docker compose -f compose/compose.yaml up", "make", "make deploy-local"):
        assert re.search(rf"^{re.escape(command)} +# ", readme, re.MULTILINE), command
    for command in ("scripts/bench", "scripts/chaos"):
        assert f"`{command}`" in contributing, command


def _diagrams() -> list[tuple[str, str]]:
    return [
        (_name(page), diagram)
        for page in PAGES
        for diagram in re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "diagram"), _diagrams())
def test_every_mermaid_diagram_is_whole(page: str, diagram: str) -> None:
    """No parser of Mermaid runs without a browser; what breaks diagrams in practice is found here."""
    head, *lines = [line.strip() for line in diagram.splitlines() if line.strip()]
    assert re.fullmatch(r"flowchart (TB|TD|BT|LR|RL)", head), page
    assert sum(line.startswith("subgraph ") for line in lines) == lines.count("end"), page
    for line in lines:
        assert _is_closed(re.sub(r"\|[^|]*\|", "", line)), (page, line)
        assert line.count("|") % 2 == 0, (page, line)
        if not re.match(r"(subgraph|end|style|classDef|class|direction)\b", line):
            nodes = re.split(r"\s*(?:-->|-\.->|---|==>)(?:\|[^|]*\|)?\s*", line)
            assert all(re.match(r"\w+(\W|$)", node) for node in nodes), (page, line)


def _is_closed(text: str) -> bool:
    """Whether brackets outside quotes close each other in order."""
    waiting: list[str] = []
    for sign in re.sub(r'"[^"]*"', "", text):
        if sign in _BRACKETS:
            waiting.append(_BRACKETS[sign])
        elif sign in _BRACKETS.values() and (not waiting or waiting.pop() != sign):
            return False
    return not waiting


@pytest.mark.parametrize("text", ["a[x", "a(x]", "a([x)]", "a]"])
def test_an_open_bracket_is_seen(text: str) -> None:
    assert not _is_closed(text)
    assert _is_closed('a["(x"] --> b[(c)]')


def test_a_link_to_nowhere_is_seen() -> None:
    assert _links("[a](b.md#c) `[d](e)`\n```\n[f](g)\n```\n[h](https://i.example)") == ["b.md#c"]
    assert _anchors("# A b\n## What is in it (SBOM)\n## A b\n```\n# no\n```\n") == {
        "a-b",
        "what-is-in-it-sbom",
        "a-b-1",
    }
