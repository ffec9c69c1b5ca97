"""A yes or a no in a JSON body is true or false: what merely reads like one was meant otherwise, or is a mistake."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from api.schemas import runs
from api.schemas.fields import Body


def _bodies(of: type[Body] = Body) -> Iterator[type[Body]]:
    for body in of.__subclasses__():
        yield body
        yield from _bodies(body)


def _is_taken_for_true(annotation: Any, value: object) -> bool:
    try:
        return TypeAdapter(annotation).validate_python(value) is True
    except ValidationError:
        return False


def test_only_true_is_true_in_every_body() -> None:
    fields: dict[str, Any] = {
        f"{body.__name__}.{name}": Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        for body in _bodies()
        for name, field in body.model_fields.items()
    }
    yes_or_no = {name for name, annotation in fields.items() if _is_taken_for_true(annotation, True)}
    assert f"{runs.RunIn.__name__}.dry_run" in yes_or_no
    assert len(yes_or_no) > 5
    for said in ("yes", "true", "1", 1, 1.0):
        assert [name for name in yes_or_no if _is_taken_for_true(fields[name], said)] == []
