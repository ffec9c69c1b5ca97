"""Digest and seal of a bill (B4): SHA-256 over canonical JSON, so that anybody can compute them from its file."""

from hashlib import sha256

from billing.bills.canonical_json import Json, canonical_json
from billing.bills.issue_wire import json_from_issue
from billing.bills.values import Content, Issue
from billing.bills.wire import json_from_content


def digest_of(content: Content) -> str:
    """What everybody names who moves the bill: 64 hexadecimal digits."""
    return sha256(canonical_json(json_from_content(content))).hexdigest()


def seal_of(content: Content, issue: Issue) -> str:
    """What proves an issued bill: its content and what it got when it was issued."""
    return sha256(canonical_json(_sealed(content, issue))).hexdigest()


def document_from_bill(content: Content, issue: Issue) -> dict[str, Json]:
    """The JSON file of an issued bill: all that is sealed, with the digest and the seal."""
    return {**_sealed(content, issue), "digest": digest_of(content), "seal": seal_of(content, issue)}


def _sealed(content: Content, issue: Issue) -> dict[str, Json]:
    return {"bill": json_from_content(content), "issue": json_from_issue(content, issue)}
