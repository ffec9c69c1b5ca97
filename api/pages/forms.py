"""Forms: what was typed, what was wrong with it, and what follows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.forms import CSRF_FIELD, Values, read_form
from api.headers import header
from api.pages.sent_once import sent_once
from api.pages.words import ENGLISH, Words, words_for
from api.problems import Problem, problem_from
from api.state import answer_beside

Model = TypeVar("Model", bound=BaseModel)

_MOST_BYTES = 1024 * 1024
_MOST_BYTES_OF_ANYBODY = 16 * 1024
MOST_BYTES_WITH_KEPT = 256 * 1024
"""Of who signs in again, with what was kept of a form: a letter of it may take three here."""
_OTHER_PAGES = (401, 403)
"""Such refusals are about the page and not about what was typed; so is a 404 that showing the page meets again."""


@dataclass(slots=True)
class Form:
    """What was typed, by field; once it was refused also why, by field or as a whole, and with which status.

    `path` is where it was sent; `fields` names the field behind a JSON pointer that has another name.
    """

    values: Values = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    refusal: str = ""
    status: int = 200
    path: str = ""
    words: Words = ENGLISH
    fields: dict[str, str] = field(default_factory=dict)

    def of(self, path: str, **having: str) -> "Form":
        """The form if it was sent there and says this; else one in which nothing was typed."""
        is_it = self.path == path and all(self.value(name) == text for name, text in having.items())
        return self if is_it else Form()

    def value(self, name: str, default: object = "") -> str:
        """What was typed into a field; else the default."""
        given = self.values.get(name)
        return given[-1] if given else "" if default is None else str(default)

    def amount(self, name: str) -> str:
        """Money that was typed into a field, as it is on the wire."""
        return self.words.amount_from_typed(self.value(name))

    def all(self, name: str) -> Sequence[str]:
        """All that was chosen of a field."""
        return self.values.get(name, ())

    def typed(self) -> list[tuple[str, str]]:
        """Every field with what was typed, without the token of the page."""
        return [(name, text) for name, texts in self.values.items() if name != CSRF_FIELD for text in texts]

    def read(self, model: type[Model]) -> Model:
        """The fields as the API takes them, without empty ones; RequestValidationError says what is wrong."""
        return self.read_as(model, {name: self.value(name) for name in model.model_fields})

    def read_as(self, model: type[Model], sent: Mapping[str, Any]) -> Model:
        """The same of fields that were put together from what was typed."""
        try:
            return model.model_validate({name: value for name, value in sent.items() if value != ""})
        except ValidationError as error:
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from None

    def refuse(self, problem: Problem) -> None:
        """Keep why it was refused."""
        self.status = problem.status_code
        self.errors = {self._field_at(each.pointer): each.detail for each in problem.errors}
        self.refusal = "" if self.errors else str(problem.detail)

    def _field_at(self, pointer: str) -> str:
        """The field that a JSON pointer leads to: `tax.rate` of "#/tax/rate", `partners` of "#/partners/0"."""
        if pointer in self.fields:
            return self.fields[pointer]
        parts = [part for part in pointer.removeprefix("#/").split("/") if not part.isdecimal()] or [pointer]
        names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        return next((name for name in names if name in self.values), parts[0])


MOST_DIGITS = 18
"""Of a number that somebody types; more fit no column."""


def number_from_text(text: str) -> int | str:
    """A whole number as typed; what is none, or has too many digits, stays a text, and the API says why not."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else text


Act = Callable[[Form], Awaitable[Response]]
Show = Callable[[Request, Form], Awaitable[Response]]


async def submitted(request: Request, act: Act, show: Show, *, anybody: bool = False, most_bytes: int = 0) -> Response:
    """Do what a form asks for, once; if it is refused, show its page again with what was typed and why."""
    values = await read_form(request, most_bytes or (_MOST_BYTES_OF_ANYBODY if anybody else _MOST_BYTES))
    words = words_for(header(request.scope, b"accept-language"))
    form = Form(values, path=request.url.path, words=words)
    try:
        return await act(form) if anybody else await sent_once(request, lambda: act(form))
    except Exception as error:
        problem = problem_from(error, request)
        if problem is None or (problem.status_code in _OTHER_PAGES and not anybody):
            raise
        form.refuse(problem)
    return await answer_beside(request, lambda asked: show(asked, form))
