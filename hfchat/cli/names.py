"""Names of people who signed in with Hugging Face, whose subjects are numbers: by subject, and the subject by name."""

from collections.abc import Iterable

from hfchat.auth.hub_account import SUBJECT_PREFIX, name_record
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import UsageTotals


async def hub_names(ledger: Ledger, totals: Iterable[UsageTotals]) -> dict[str, str]:
    """The names of those of these people who signed in with Hugging Face, by subject. Raises: StoreUnavailable."""
    people = {entry.subject for entry in totals if entry.subject.startswith(SUBJECT_PREFIX)}
    records = {person: await ledger.read_record(name_record(person)) for person in sorted(people)}
    return {person: name.decode() for person, name in records.items() if name}


def named(names: dict[str, str], name: str) -> list[str]:
    """The subjects of those who have this name. Hugging Face's names differ in more than case."""
    return [subject for subject, known in names.items() if known.lower() == name.lower()]
