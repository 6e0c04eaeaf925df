"""Ledger for commands, which may run beside the server."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hfchat.config.settings import Settings, SettingsError
from hfchat.factory import make_command_ledger
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import MEMORY, sqlite_path
from hfchat.logs import configure_logging

T = TypeVar("T")


def ledger_exists(settings: Settings) -> bool:
    """Whether there is a ledger already. Raises: SettingsError for one in the server's memory."""
    if settings.hfchat_store == MEMORY:
        raise SettingsError(f"HFCHAT_STORE: {MEMORY} is inside the running program, where no command reaches it.")
    path = sqlite_path(settings.hfchat_store)
    return settings.hfchat_store_copy is not None or path is None or path.exists()


def warn_of_new_ledger(settings: Settings) -> None:
    """Warn that there was no ledger: the settings may not be the server's."""
    path = sqlite_path(settings.hfchat_store)
    print(f"There was no ledger at {path} yet: is it the one that the server uses?", file=sys.stderr)


def with_ledger(settings: Settings, use: Callable[[Ledger], Awaitable[T]]) -> T:
    """The result of `use` on the ledger. The log goes to stderr, with the reason where the ledger cannot be opened."""
    configure_logging(settings.hfchat_log_format)

    async def run() -> T:
        ledger = make_command_ledger(settings)
        try:
            await ledger.open()
            return await use(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())
