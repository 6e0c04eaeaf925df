"""Usage report, `python -m hfchat usage`: everybody's totals, as a table or CSV.

Where people signed in with Hugging Face, whose subjects are numbers, a column has their names.
"""

import argparse
import csv
import io
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from hfchat.auth.claims import read_name
from hfchat.cli.ledger import ledger_exists, warn_of_new_ledger, with_ledger
from hfchat.cli.names import hub_names, named
from hfchat.config.settings import find_dotenv, load_settings
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import UsageTotals


def usage_command(args: argparse.Namespace) -> int:
    """Print everybody's totals, or one person's."""
    settings = load_settings(os.environ, find_dotenv())
    if not ledger_exists(settings):
        warn_of_new_ledger(settings)
        return 1
    subject = args.subject and (read_name(args.subject) or args.subject)
    totals, names = with_ledger(settings, lambda ledger: _read(ledger, subject))
    if subject is not None and not totals:
        print(f"{subject} has used nothing yet.", file=sys.stderr)
        return 1
    columns = (*_COLUMNS, ("name", lambda row: names.get(row.subject, ""))) if names else _COLUMNS
    print(_csv(totals, columns) if args.csv else _table(totals, columns), end="")
    return 0


async def _read(ledger: Ledger, subject: str | None) -> tuple[list[UsageTotals], dict[str, str]]:
    """The totals of everybody, or of who has this subject or, signed in with Hugging Face, this name; and those names."""
    totals = await ledger.totals(subject)
    if totals or subject is None:
        return totals, await hub_names(ledger, totals)
    everybody = await ledger.totals()
    names = await hub_names(ledger, everybody)
    return [entry for entry in everybody if entry.subject in named(names, subject)], names


_Columns: TypeAlias = tuple[tuple[str, Callable[[UsageTotals], str | int]], ...]
_COLUMNS: _Columns = (
    ("subject", lambda totals: totals.subject),
    ("issuer", lambda totals: totals.issuer),
    ("requests", lambda totals: totals.requests),
    ("prompt_tokens", lambda totals: totals.prompt_tokens),
    ("completion_tokens", lambda totals: totals.completion_tokens),
    ("estimated_tokens", lambda totals: totals.estimated_tokens),
    ("held_tokens", lambda totals: totals.held_tokens),
    ("last_seen", lambda totals: datetime.fromtimestamp(totals.last_seen, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
)


def _csv(totals: list[UsageTotals], columns: _Columns) -> str:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(name for name, _ in columns)
    rows.writerows([_escape_formula(value(row)) for _, value in columns] for row in totals)
    return file.getvalue()


def _escape_formula(value: str | int) -> str | int:
    # CSV injection: a spreadsheet would run such a name as a formula; names may come from others' tokens.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _table(totals: list[UsageTotals], columns: _Columns) -> str:
    rows = [[name.replace("_", " ") for name, _ in columns]]
    rows += [[_cell(value(row)) for _, value in columns] for row in totals]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
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
