"""Import: a file of leads, how it is read, what it would be billed, what became of it. The file itself is not kept."""

import asyncio
import gzip
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import takewhile
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Permission, caller_of, requires
from api.body import gunzip, held_bytes
from api.forms import sent_file
from api.lead_file import FileOfLeads, Look, look_at, read_file
from api.multipart import SentFile
from api.pages.forms import Form, submitted
from api.pages.rendering import led_to, page
from api.problems import Problem
from api.routes.leads import MOST_ACTIONS_OF_DRY_RUN, MOST_LEADS_OF_DRY_RUN, accept
from api.routing import Route
from api.schemas.fields import UuidPath
from api.state import state_of
from api.traffic.concurrency import LARGE_BYTES
from billing.lead_files.lead_csv import CSV_COLUMNS
from billing.lead_files.lead_entries import Unreadable
from billing.leads import Lead
from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import batch_partners, request_status
from db.reports.csv_format import csv_row
from db.reports.dry_run_leads import TriedLead, try_leads

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/import")
_INGEST = requires(Permission.INGEST)
_SHOWN = 10
_PROBLEMS_SHOWN = 100
MOST_BYTES_KEPT = 1024 * 1024
"""A file up to this size travels in the page from step to step; a larger one is asked for again."""
_GZIP = b"\x1f\x8b"
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True, slots=True)
class Reading:
    """A file as it is shown: `digest` is of what was sent and chosen, `fault` says why it cannot be read."""

    file: SentFile
    look: Look
    chosen: dict[str, str | None]
    digest: str
    found: FileOfLeads | None
    fault: str

    @property
    def kept(self) -> str:
        """The file as a field of the form; empty if it is too large for that."""
        small = len(self.file.content) <= MOST_BYTES_KEPT
        return b64encode(gzip.compress(self.file.content)).decode() if small else ""

    @property
    def encoding(self) -> str:
        """How its text is written."""
        try:
            self.file.content.decode()
        except UnicodeDecodeError:
            return "not UTF-8: leads with such characters are refused"
        return "UTF-8"

    @property
    def separator(self) -> str:
        """What stands between the values of a row, in words."""
        return _SEPARATORS.get(self.look.delimiter, "")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a dry run says in sums: actions and money by currency and outcome, leads by problem."""

    leads: int
    actions: dict[tuple[str, str], int]
    billed_minor: dict[tuple[str, str], int]
    problems: dict[str, int]


@router.get("", dependencies=[_INGEST])
async def show_import(request: Request) -> Response:
    """The form for a file."""
    return await _show(request, Form())


@router.post("", dependencies=[_INGEST])
async def import_here(request: Request) -> Response:
    """Read a file; try it, send it or list what is refused only as it was shown before."""

    async def act(form: Form) -> Response:
        file, now = await _file(request, form), datetime.now(UTC)
        size = len(file.content)
        limit = state_of(request).concurrency.limit(caller_of(request).id, size)
        async with limit if size >= LARGE_BYTES else nullcontext():
            reading = await asyncio.to_thread(_read, file, form, now, state_of(request).settings)
            step = form.value("step") if reading.digest == form.value("digest") else "read"
            if reading.found and step == "refused":
                return _refused_as_csv(reading.found)
            if reading.found and reading.found.leads and step == "send":
                batch_id = await accept(request, reading.found.leads, now)
                left_out = f"; left out: {len(reading.found.refused):,}" if reading.found.refused else ""
                said = f"Accepted: {len(reading.found.leads):,}{left_out}."
                return led_to(request, f"/import/{batch_id}", said)
            tried = None
            if reading.found and reading.found.leads and step == "try":
                tried = await _try(request, reading.found.leads, now)
        return await _show(request, form, reading, tried)

    return await submitted(request, act, _show)


@router.get("/{batch_id}", dependencies=[requires(Permission.READ)])
async def show_batch(request: Request, batch_id: UuidPath) -> Response:
    """What became of the leads of one request."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        status = await request_status.status(connection, batch_id)
        if status is None:
            raise _no_batch(batch_id)
        problems = await request_status.problems(connection, batch_id, after=None, limit=_PROBLEMS_SHOWN + 1)
        zone = await batch_partners.zone(connection, batch_id)
    return page(
        request,
        "import_batch.html",
        batch=status,
        zone=zone or "UTC",
        decided=sum(status.leads.values()),
        problems=problems[:_PROBLEMS_SHOWN],
        has_more=len(problems) > _PROBLEMS_SHOWN,
    )


@router.get("/{batch_id}/problems.csv", dependencies=[requires(Permission.READ)])
async def get_batch_problems(request: Request, batch_id: UuidPath) -> Response:
    """The leads of one request that are in quarantine, and why."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        status = await request_status.status(connection, batch_id)
        if status is None:
            raise _no_batch(batch_id)
        problems = await request_status.problems(connection, batch_id, after=None, limit=status.accepted)
    columns = ("lead_id", "reason", "detail")
    return _csv(columns, ([str(each[name]) for name in columns] for each in problems), "quarantined.csv")


async def _show(request: Request, form: Form, reading: Reading | None = None, tried: Tried | None = None) -> Response:
    return page(
        request,
        "import.html",
        status=form.status,
        form=form,
        reading=reading,
        tried=tried,
        columns=CSV_COLUMNS,
        shown=_SHOWN,
    )


async def _file(request: Request, form: Form) -> SentFile:
    """The file that was chosen, else the one that the page carries, unpacked; Problem 400 if there is none."""
    file = sent_file(request, "file")
    try:
        if not file.name and form.value("kept"):
            file = SentFile(form.value("kept_name"), b64decode(form.value("kept"), validate=True))
    except ValueError:
        raise Problem(400, "The form cannot be read.") from None
    if not file.name:
        raise Problem(400, "Choose a file first.")
    if not file.content.startswith(_GZIP):
        return file
    state = state_of(request)
    try:
        content = await gunzip(file.content, state.settings.max_body_bytes, held_bytes(request, state))
    except Problem as problem:
        if problem.status_code != 400:
            raise
        raise Problem(400, f"{file.name} is damaged: its gzip data ends too early or is not valid.") from None
    return SentFile(file.name.removesuffix(".gz"), content)


def _read(file: SentFile, form: Form, now: datetime, settings: Settings) -> Reading:
    try:
        look = look_at(file.content, file.name)
    except Unreadable as error:
        raise Problem(400, str(error)) from None
    guesses = _guesses(look)
    chosen = {each.name: form.value(f"column-{at}", guesses[each.name]) or None for at, each in enumerate(look.unknown)}
    digest = sha256(repr((file.name, sorted(chosen.items()))).encode() + file.content).hexdigest()
    try:
        found, fault = read_file(file.content, look, chosen, now, settings), ""
    except Unreadable as error:
        found, fault = None, str(error)
    return Reading(file, look, chosen, digest, found, fault)


def _guesses(look: Look) -> dict[str, str]:
    """The column that each unknown heading means: one of ours that no heading has, with "_id" left out or not."""
    free = [each for each in CSV_COLUMNS if each not in {one.name for one in look.headings}]
    guesses = {}
    for each in look.unknown:
        column = each.name.replace(" ", "_").replace("-", "_")
        guesses[each.name] = next((one for one in free if one in (column, f"{column}_id")), "")
        free = [one for one in free if one != guesses[each.name]]
    return guesses


async def _try(request: Request, leads: Sequence[Lead], now: datetime) -> Tried:
    """The verdicts of the first leads, as many as a dry run takes."""
    actions = 0

    def fits(lead: Lead) -> bool:
        nonlocal actions
        actions += len(lead.actions)
        return actions <= MOST_ACTIONS_OF_DRY_RUN

    caller_of(request).check(Permission.READ)
    first = list(takewhile(fits, leads[:MOST_LEADS_OF_DRY_RUN]))

    async def tried(engine: AsyncEngine) -> list[TriedLead]:
        async with transaction(engine, readonly=True) as connection:
            return await try_leads(connection, first, now)

    return _sums(await state_of(request).dry_runs.run(tried))


def _sums(tried: Sequence[TriedLead]) -> Tried:
    sums = Tried(len(tried), Counter(), Counter(), Counter(each.problem for each in tried if each.problem))
    for line in (line for each in tried if each.view for line in each.view.lines):
        verdict = line.explained.verdict
        key = line.currency, str(verdict.outcome)
        sums.actions[key] += 1
        sums.billed_minor[key] += verdict.billed_minor
    return sums


def _refused_as_csv(found: FileOfLeads) -> Response:
    rows = ([str(each.line), "; ".join(each.reasons), each.text] for each in found.refused)
    return _csv(("line", "reasons", "text"), rows, "refused.csv")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> Response:
    content = csv_row(columns) + "".join(map(csv_row, rows))
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8")


def _no_batch(batch_id: UUID) -> Problem:
    return Problem(404, f"There is no batch {batch_id}.")
