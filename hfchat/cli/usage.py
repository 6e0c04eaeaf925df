"""`python -m hfchat usage`: who used how much, ever, as a table or CSV."""

import argparse
import csv
import io
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from hfchat.auth.claims import read_name
from hfchat.cli.ledger import ledger_is_there, warn_of_a_new_ledger, with_ledger
from hfchat.config.settings import find_dotenv, load_settings
from hfchat.ledger.meters import UsageTotals


def usage_command(asked: argparse.Namespace) -> int:
    """Print everybody's account, or one person's."""
    settings = load_settings(os.environ, find_dotenv())
    if not ledger_is_there(settings):
        warn_of_a_new_ledger(settings)
        return 1
    subject = asked.subject and (read_name(asked.subject) or asked.subject)
    totals = with_ledger(settings, lambda ledger: ledger.totals(subject))
    if subject is not None and not totals:
        print(f"{subject} has used nothing yet.", file=sys.stderr)
        return 1
    print(_csv(totals) if asked.csv else _table(totals), end="")
    return 0


_COLUMNS: tuple[tuple[str, Callable[[UsageTotals], str | int]], ...] = (
    ("subject", lambda account: account.subject),
    ("issuer", lambda account: account.issuer),
    ("requests", lambda account: account.requests),
    ("prompt_tokens", lambda account: account.prompt_tokens),
    ("completion_tokens", lambda account: account.completion_tokens),
    ("estimated_tokens", lambda account: account.estimated_tokens),
    ("held_tokens", lambda account: account.held_tokens),
    ("last_seen", lambda account: datetime.fromtimestamp(account.last_seen, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
)


def _csv(totals: list[UsageTotals]) -> str:
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(name for name, _ in _COLUMNS)
    rows.writerows([_inert(value(account)) for _, value in _COLUMNS] for account in totals)
    return written.getvalue()


def _inert(value: str | int) -> str | int:
    # A spreadsheet would take such a name for a formula and do what it says; names may come from others' tokens.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _table(totals: list[UsageTotals]) -> str:
    rows = [[name.replace("_", " ") for name, _ in _COLUMNS]]
    rows += [[_cell(value(account)) for _, value in _COLUMNS] for account in totals]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    numbers = range(2, len(_COLUMNS) - 1)
    return "".join(
        "  ".join(
            cell.rjust(widths[column]) if column in numbers else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        + "\n"
        for row in rows
    )


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value
