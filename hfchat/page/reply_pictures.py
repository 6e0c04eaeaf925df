"""Pictures of replies: a reply's message refers to them, as a question does to its own, and the browser fetches and keeps them.

They are held in memory, for the person whose reply it is, only until the page has fetched them. A picture that has an address
elsewhere is never loaded: it is a link.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hfchat.http.media import is_picture
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import PAGE
from hfchat.page.history import REPLY_PICTURES_ID, page_note

# The page fetches them within a second; a second tab may a little later.
HELD_S = 300.0
# Of all people together: some dozens of pictures of 1024 by 1024 pixels, of which one has about 2 MB.
MAX_HELD_CHARS = 64 * 1024 * 1024
MAX_PICTURE_CHARS = 4 * 1024 * 1024
_ADDRESS = re.compile(r"https?://[^\s<>\\]{1,2000}")


class ReplyPictures:
    """The pictures of the latest replies, by owner and id. Used in one event loop. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The oldest first: when it came, and its data URL.
        self._held: dict[tuple[str, str], tuple[float, str]] = {}
        self._chars = 0

    def hold(self, owner: str, data: str) -> str:
        """The id by which the owner's page can fetch this picture from now on."""
        picture_id = hashlib.sha256(data.encode()).hexdigest()[:32]
        self._forget((owner, picture_id))
        self._held[owner, picture_id] = self._clock(), data
        self._chars += len(data)
        while self._held and (self._chars > MAX_HELD_CHARS or self._oldest() < self._clock() - HELD_S):
            self._forget(next(iter(self._held)))
        return picture_id

    def of(self, owner: str, ids: Iterable[str]) -> dict[str, str]:
        """Those of the owner's that are still held, as data URLs by id."""
        held = {picture_id: self._held.get((owner, picture_id)) for picture_id in ids}
        return {picture_id: item[1] for picture_id, item in held.items() if item is not None}

    def _oldest(self) -> float:
        return next(iter(self._held.values()))[0]

    def _forget(self, key: tuple[str, str]) -> None:
        _, data = self._held.pop(key, (0.0, ""))
        self._chars -= len(data)

    def message(self, owner: str, pictures: Sequence[str], language: Language) -> list[dict[str, Any]]:
        """The message that shows the pictures of a reply; none where it has none."""
        texts = PAGE[language]
        lines = []
        for number, picture in enumerate(pictures, 1):
            name = texts["picture"].format(number=number)
            if len(picture) <= MAX_PICTURE_CHARS and is_picture(picture):
                lines.append(f"[🖼 {name}](#hfchat-image-{self.hold(owner, picture)})")
            elif _ADDRESS.fullmatch(picture):
                lines.append(f"[{name}](<{picture}>)")
            else:
                lines.append(texts["picture_not_shown"])
        return [page_note("\n\n".join(lines), REPLY_PICTURES_ID)] if lines else []
