"""Claim on the ledger's copy: of the programs that use one bucket, only the one with the latest epoch grants anything.

A program that starts writes its claim, then waits until the one before it has closed its state, or for LEASE_S. That one finds
the later claim whenever it lists the bucket, and grants nothing when its last good listing began more than LEASE_S ago. So at no
time do two programs grant. Only lengths of time are compared, never two machines' clocks.
"""

import asyncio
import time

from hfchat.ids import random_id
from hfchat.ledger.bucket import Bucket, tried, unavailable
from hfchat.ledger.copy_files import CHANGES, CLAIMS, CLOSED, check_names, latest_state, newer_claim, next_epoch

# How long a program grants without having seen the bucket. It bears a pause of the Hub, and is what a start after a crash
# waits.
LEASE_S = 20.0
CLAIM = b"A program that uses this copy of a ledger of hfchat."


class Claim:
    """The claim of this program. `take` it once, then `check` it again and again."""

    def __init__(self, bucket: Bucket, *, lease_s: float = LEASE_S) -> None:
        self._bucket = bucket
        self._lease_s = lease_s
        self._poll_s = lease_s / 20
        self._check_began = 0.0
        self._checked_at: float | None = None
        self.epoch = ""
        # Whether a later program was seen: then this claim is never good again.
        self.lost = False

    @property
    def held(self) -> bool:
        """Whether no other program can be granting."""
        return not self.lost and self._checked_at is not None and time.monotonic() - self._checked_at < self._lease_s

    async def take(self) -> tuple[str | None, bool]:
        """Make the claim and wait for the program before. The state in force, and whether the program before may have granted
        something until now.

        Raises: StoreUnavailable.
        """
        names = await tried(self._bucket.names, pause_s=self._poll_s)
        check_names(names)
        # After one's own claim too, which may have been written although it was not acknowledged.
        self.epoch = next_epoch([*names, *([f"{CLAIMS}{self.epoch}"] if self.epoch else [])], random_id(64))
        self._checked_at = None
        await self._bucket.write(f"{CLAIMS}{self.epoch}", CLAIM)
        claimed_at = time.monotonic()
        while True:
            waited_s = time.monotonic() - claimed_at
            names = self._own(await tried(self._bucket.names, pause_s=self._poll_s))
            state = latest_state(names)
            # A program without a state has granted nothing, and finds this claim before it does.
            if state is None or state.endswith(CLOSED):
                return state, False
            if waited_s > self._lease_s:
                return state, True
            await asyncio.sleep(self._poll_s)

    async def check(self) -> list[str]:
        """All names, if this claim is the latest one; `confirm` it once what they ask for is done.

        Raises: StoreUnavailable, where it is not the latest one or is not known to be.
        """
        self._check_began = time.monotonic()
        return self._own(await self._bucket.names())

    def confirm(self) -> None:
        """Hold the claim for LEASE_S from the begin of the last check on."""
        self._checked_at = self._check_began

    def raise_lost(self) -> None:
        """Raises: StoreUnavailable where another program has taken over."""
        if self.lost:
            raise unavailable(
                "another program has taken over the copy of the ledger, so this one grants nothing until that one has stopped in "
                "order. Give each program a bucket of its own"
            )

    def _own(self, names: list[str]) -> list[str]:
        check_names(names)
        self.lost = self.lost or newer_claim(names, self.epoch)
        self.raise_lost()
        if f"{CLAIMS}{self.epoch}" not in names:
            raise unavailable("its files were deleted while hfchat used them; start it again")
        return names


def changes_in(names: list[str]) -> list[str]:
    """The changes that commands want, the oldest first."""
    return sorted(name for name in names if name.startswith(CHANGES))
