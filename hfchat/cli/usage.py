"""Usage report, `python -m hfchat usage`: everybody's totals, as a table or CSV."""

import argparse
import csv
import io
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from hfchat.auth.claims import read_name
from hfchat.cli.ledger import ledger_exists, warn_of_new_ledger, with_ledger
from hfchat.config.settings import find_dotenv, load_settings
from hfchat.ledger.meters import UsageTotals


def usage_command(args: argparse.Namespace) -> int:
    """Print everybody's totals, or one person's."""
    settings = load_settings(os.environ, find_dotenv())
    if not ledger_exists(settings):
        warn_of_new_ledger(settings)
        return 1
    subject = args.subject and (read_name(args.subject) or args.subject)
    totals = with_ledger(settings, lambda ledger: ledger.totals(subject))
    if subject is not None and not totals:
        print(f"{subject} has used nothing yet.", file=sys.stderr)
        return 1
    print(_csv(totals) if args.csv else _table(totals), end="")
    return 0


_COLUMNS: tuple[tuple[str, Callable[[UsageTotals], str | int]], ...] = (
    ("subject", lambda totals: totals.subject),
    ("issuer", lambda totals: totals.issuer),
    ("requests", lambda totals: totals.requests),
    ("prompt_tokens", lambda totals: totals.prompt_tokens),
    ("completion_tokens", lambda totals: totals.completion_tokens),
    ("estimated_tokens", lambda totals: totals.estimated_tokens),
    ("held_tokens", lambda totals: totals.held_tokens),
    ("last_seen", lambda totals: datetime.fromtimestamp(totals.last_seen, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
)


def _csv(totals: list[UsageTotals]) -> str:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(name for name, _ in _COLUMNS)
    rows.writerows([_escape_formula(value(row)) for _, value in _COLUMNS] for row in totals)
    return file.getvalue()


def _escape_formula(value: str | int) -> str | int:
    # CSV injection: a spreadsheet would run such a name as a formula; names may come from others' tokens.
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _table(totals: list[UsageTotals]) -> str:
    rows = [[name.replace("_", " ") for name, _ in _COLUMNS]]
    rows += [[_cell(value(row)) for _, value in _COLUMNS] for row in totals]
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
