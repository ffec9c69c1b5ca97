"""The version of Leadger; pyproject.toml is the only place that says it."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

PROJECT_FILE = Path(__file__).parents[2] / "pyproject.toml"


@cache
def version(project_file: Path = PROJECT_FILE) -> str:
    """The version in pyproject.toml or, without that file, of the installed package.

    The file counts first: in a source tree the metadata of an editable installation can be old, and in the image the
    project is not installed at all.
    """
    try:
        project = tomllib.loads(project_file.read_text())["project"]
    except FileNotFoundError:
        return metadata.version("leadger")
    found: str = project["version"]
    return found
