"""A process that commits and checkpoints as often as it can. It imports little, so that it starts at once."""

import random
import time
from pathlib import Path

from hfchat.ledger.sqlite_file import SqliteFile

VERSIONS = ("CREATE TABLE rows (who TEXT, number INTEGER, filling TEXT DEFAULT '', PRIMARY KEY (who, number))",)


def hammer(path: Path, who: int, commits: int, reopen: bool) -> None:
    """Commit so many rows, each of a page, with a checkpoint after each; `reopen` as a command does, which ends each time."""
    dice, file = random.Random(who), SqliteFile(path, VERSIONS)
    for number in range(commits):
        row = (str(who), number, "x" * 3000)
        file.do([lambda db, row=row: db.execute("INSERT INTO rows VALUES (?, ?, ?)", row)], writes=True)  # type: ignore[misc]
        # A pause now and then, so that a checkpoint comes to the end of the log, and the next commit resets it.
        time.sleep(dice.random() * 0.001)
        file._checkpoint()
        if reopen and number % 20 == 0:
            file.close()
    file.close()
