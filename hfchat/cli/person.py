"""Person command, `python -m hfchat person`: block somebody, give them more or less, see what holds and what is used."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hfchat.auth.claims import MAX_SUBJECT_CHARS, read_name
from hfchat.cli.ledger import ledger_exists, warn_of_new_ledger, with_ledger
from hfchat.cli.names import hub_names, named
from hfchat.cli.token import warn_of_small_budget
from hfchat.config.settings import find_dotenv, load_settings
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import REQUESTS
from hfchat.ledger.people import Person, PersonUse
from hfchat.ledger.person_limits import PersonLimits
from hfchat.types import OWN_ISSUER, Policy

# In place of a value: the setting's limit holds again.
DEFAULT: Final = "default"
_LIMITS = ("rate", "budget", "streams")


def person_command(args: argparse.Namespace) -> int:
    """Change what holds for a person, if anything is to be changed, and print it."""
    settings = load_settings(os.environ, find_dotenv())
    typed = read_name(args.name)
    if typed is None:
        raise ValueError(f"a person's name has 1 to {MAX_SUBJECT_CHARS} characters, all of which can be seen")
    changes = _changes(args)
    if not ledger_exists(settings):
        warn_of_new_ledger(settings)
        if not changes:
            return 1

    async def change_and_read(ledger: Ledger) -> tuple[Person, str | None]:
        subject, name = await _find(ledger, typed, settings.policy)
        if changes:
            await ledger.people.change(subject, lambda limits: replace(limits, **changes))
        if args.reset:
            await ledger.people.reset(subject)
        return await ledger.people.person(subject, settings.policy), name

    person, name = with_ledger(settings, change_and_read)
    print(*_lines(person, name), sep="\n")
    warn_of_small_budget(person.policy, max_tokens="HF_CHAT_DEFAULT_TOKENS")
    if not person.uses:
        hint = (
            " Who signed in with Hugging Face is known as hf:NUMBER until they have used something." if changes else ""
        )
        print(f"{person.subject} has used nothing yet.{hint}", file=sys.stderr)
    return 0


async def _find(ledger: Ledger, typed: str, policy: Policy) -> tuple[str, str | None]:
    """The subject of who is meant, and their name where they signed in with Hugging Face. A subject comes before a name.

    Raises: ValueError for a name that several have; StoreUnavailable.
    """
    names = await hub_names(ledger, await ledger.totals())
    subjects = named(names, typed)
    if not subjects:
        return typed, names.get(typed)
    person = await ledger.people.person(typed, policy)
    if person.uses or person.limits != PersonLimits():
        print(
            f"This is the subject {typed}. With Hugging Face signed in as {typed}: {', '.join(subjects)}",
            file=sys.stderr,
        )
        return typed, None
    if len(subjects) > 1:
        raise ValueError(f"several people signed in with Hugging Face as {typed}; write one of: {', '.join(subjects)}")
    print(f"{typed}, signed in with Hugging Face, is {subjects[0]}", file=sys.stderr)
    return subjects[0], names[subjects[0]]


def value_or_default(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """As `read`, for an option that takes `default` too."""
    return lambda text: DEFAULT if text == DEFAULT else read(text)


def _changes(args: argparse.Namespace) -> dict[str, Any]:
    values = {name: getattr(args, name) for name in _LIMITS}
    changes = {name: None if value == DEFAULT else value for name, value in values.items() if value is not None}
    return changes if args.blocked is None else {**changes, "blocked": args.blocked}


def _lines(person: Person, name: str | None) -> list[str]:
    policy, limits = person.policy, person.limits
    return [
        f"subject: {person.subject}",
        *([f"name: {name}"] if name else []),
        f"blocked: {'yes' if limits.blocked else 'no'}",
        f"rate: {' and '.join(map(str, policy.rate))}{_own(limits, 'rate')}",
        f"budget: {' and '.join(map(str, policy.budget))}{_own(limits, 'budget')}",
        f"streams: {policy.streams}{_own(limits, 'streams')}",
        *(_use(use, policy.streams) for use in person.uses),
    ]


def _own(limits: PersonLimits, name: str) -> str:
    return "" if getattr(limits, name) is None else " (set for this person)"


def _use(use: PersonUse, streams: int | None) -> str:
    issuer = "" if use.issuer == OWN_ISSUER else f" ({use.issuer or 'no issuer'})"
    counts = [
        f"{used} of {meter.limit}/{meter.window} {'requests' if meter.name == REQUESTS else 'tokens'}"
        for meter, used in use.used
    ]
    return f"used{issuer}: {', '.join(counts)}, {use.streams} of {streams} streams"
