"""The ledger as a command reaches it, beside a server that may be running on it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hfchat.config.settings import Settings, SettingsError
from hfchat.factory import make_accounts
from hfchat.ledger.ledger import Accounts
from hfchat.ledger.open_store import MEMORY, SQLITE
from hfchat.logs import configure_logging

T = TypeVar("T")


def ledger_is_there(settings: Settings) -> bool:
    """Whether there is one already. Raises: SettingsError where no command can reach it."""
    store = settings.hfchat_store
    if store == MEMORY:
        raise SettingsError(f"HFCHAT_STORE: {MEMORY} is inside the running program, where no command reaches it.")
    return not store.startswith(SQLITE) or Path(store.removeprefix(SQLITE)).exists()


def warn_of_a_new_ledger(settings: Settings) -> None:
    """Say that there was none: perhaps another one is meant."""
    where = settings.hfchat_store.removeprefix(SQLITE)
    print(f"There was no ledger at {where} yet: is it the one that the server uses?", file=sys.stderr)


def with_accounts(settings: Settings, use: Callable[[Accounts], Awaitable[T]]) -> T:
    """What `use` gives of everybody's accounts. The log goes to stderr: it says why a ledger cannot be reached."""
    configure_logging(settings.hfchat_log_format)

    async def run() -> T:
        accounts = make_accounts(settings)
        try:
            return await use(accounts)
        finally:
            await accounts.close()

    return asyncio.run(run())
