"""What mails to partners say, in the language of the bill where there are words for it, else in English."""

from dataclasses import dataclass
from typing import NamedTuple

from db.bills.files.language import Language, language_of
from db.bills.records import Bill


class Letter(NamedTuple):
    """Subject and text of a mail."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class _Words:
    """Sentences of one language. `{amount}` is what is open now, or what a credit note credits."""

    greeting: str
    closing: str
    bill_subject: str
    bill: str
    note_subject: str
    note: str
    pay: str
    account: str
    nothing_to_pay: str
    reminder_subject: str
    reminder: str


_ENGLISH = _Words(
    greeting="Good day,",
    closing="Kind regards",
    bill_subject="Bill {number} for {month}",
    bill="here is our bill {number} for {month}.",
    note_subject="Credit note {number} for bill {corrected}",
    note="here is our credit note {number} for bill {corrected}: {amount} are credited to your account.",
    pay="Please pay {amount} by {due} and name {number}.",
    account="Our account: {iban}",
    nothing_to_pay="There is nothing to pay.",
    reminder_subject="Reminder: bill {number} was due on {due}",
    reminder="of our bill {number} for {month}, {amount} are still open; they were due on {due}. The bill is attached."
    "\n\nPlease pay and name {number}. If you have paid in the last days, this mail needs no answer; if something is "
    "wrong with the bill, please tell us.",
)
_GERMAN = _Words(
    greeting="Guten Tag,",
    closing="Freundliche Grüße",
    bill_subject="Rechnung {number} für {month}",
    bill="anbei erhalten Sie unsere Rechnung {number} für {month}.",
    note_subject="Gutschrift {number} zur Rechnung {corrected}",
    note="anbei erhalten Sie unsere Gutschrift {number} zur Rechnung {corrected}. Ihrem Konto schreiben wir {amount} "
    "gut.",
    pay="Bitte zahlen Sie {amount} bis {due} und nennen Sie {number}.",
    account="Unser Konto: {iban}",
    nothing_to_pay="Es ist nichts zu zahlen.",
    reminder_subject="Erinnerung: Rechnung {number} war am {due} fällig",
    reminder="von unserer Rechnung {number} für {month} sind noch {amount} offen; sie waren am {due} fällig. "
    "Die Rechnung liegt bei.\n\nBitte zahlen Sie und nennen Sie {number}. Haben Sie in den letzten Tagen gezahlt, ist "
    "keine Antwort nötig; stimmt etwas mit der Rechnung nicht, sagen Sie es uns bitte.",
)
_WORDS = {"en": _ENGLISH, "de": _GERMAN}


def bill_letter(bill: Bill) -> Letter:
    """The mail that an issued bill or credit note is attached to."""
    words, facts = _words_and_facts(bill)
    if bill.content.noted is not None:
        return _letter(bill, words, facts, words.note_subject, [words.note])
    if bill.head.open_minor == 0:
        return _letter(bill, words, facts, words.bill_subject, [words.bill, words.nothing_to_pay])
    account = [words.account] if bill.content.seller.iban else []
    return _letter(bill, words, facts, words.bill_subject, [words.bill, "\n".join([words.pay, *account])])


def reminder_letter(bill: Bill) -> Letter:
    """The mail that reminds of an issued bill of which something is open."""
    words, facts = _words_and_facts(bill)
    account = [words.account] if bill.content.seller.iban else []
    return _letter(bill, words, facts, words.reminder_subject, [words.reminder, *account])


def _words_and_facts(bill: Bill) -> tuple[_Words, dict[str, str]]:
    issue, head = bill.issue, bill.head
    assert issue is not None
    language = language_of(issue.language)
    is_note = bill.content.noted is not None
    facts = {
        "number": issue.number,
        "month": language.month(head.period),
        "due": language.date(issue.due_on),
        "amount": _money(bill, language, head.totals.gross_minor if is_note else head.open_minor),
        "corrected": issue.corrected.get(head.period, ""),
        "iban": bill.content.seller.iban or "",
    }
    return _WORDS.get(language.locale.language, _ENGLISH), facts


def _money(bill: Bill, language: Language, minor: int) -> str:
    return f"{bill.head.currency} {language.amount(minor)}"


def _letter(bill: Bill, words: _Words, facts: dict[str, str], subject: str, paragraphs: list[str]) -> Letter:
    body = [paragraph.format(**facts) for paragraph in paragraphs]
    text = "\n\n".join([words.greeting, *body, f"{words.closing}\n{bill.content.seller.name}"])
    return Letter(subject.format(**facts), f"{text}\n")
