"""Session limits: how many of Gradio's sessions each person has, how much memory they hold, and whose events are whose.

Gradio keeps the last 2,000 sessions, whoever's they are and whatever is in them, and gives an event to whoever names it. Only
idle sessions are dropped here. The page of one goes on from the conversation that it shows.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from hfchat.errors import NotFound, TooManyStreams
from hfchat.page.sessions import HEARTBEAT, LEFT, PageRequest

MIB = 1024 * 1024
_RESET = "/gradio_api/reset"  # does nothing
_JOINS = ("/gradio_api/queue/join", "/gradio_api/call/chat")


@dataclass(frozen=True, slots=True)
class Bounds:
    """A session is 30 kB and what it holds: the conversation, about three times. Events are those nobody has fetched."""

    sessions_a_person: int = 40
    bytes_a_person: int = 32 * MIB
    sessions: int = 2000
    bytes: int = 512 * MIB
    events_a_session: int = 16


@dataclass(slots=True)
class _Session:
    size: int = 0
    open: int = 0
    left: bool = False


@dataclass(slots=True)
class _Person:
    # The one that was used last is the last.
    sessions: OrderedDict[str, _Session] = field(default_factory=OrderedDict)
    size: int = 0


class SessionLimits:
    """Keeps the sessions of one page within bounds. `forget` is told of each that is dropped. Used in one event loop."""

    def __init__(self, page: gr.Blocks, forget: Callable[[str], None], bounds: Bounds | None = None) -> None:
        self._page = page
        self._forget = forget
        self._bounds = bounds or Bounds()
        self._people: dict[str, _Person] = {}
        self._count = 0
        self._size = 0

    def begin(self, request: PageRequest, path: str, *, posts: bool) -> str | None:
        """A request begins. Gives the session that it is about, to be handed to `end`; None where it needs none.

        Raises: NotFound for another person's event; TooManyStreams where there is no place for one more session, or
        nobody fetches what this one has asked for.
        """
        person = self._people.get(request.person)
        key = request.session
        if request.event_id is not None and path != _RESET:
            event_session = self._session_of(request.event_id)
            if event_session is not None and (person is None or event_session not in person.sessions):
                raise NotFound
            key = key or event_session
        if key is None or path.startswith(HEARTBEAT):
            return None
        if person is None or key not in person.sessions:
            if not posts:
                return None
            person = self._make_room(request.person)
            person.sessions[key] = _Session()
            self._count += 1
        person.sessions.move_to_end(key)
        if path in _JOINS and len(self._unfetched(key)) >= self._bounds.events_a_session:
            raise TooManyStreams("events_used", params={"value": self._bounds.events_a_session})
        person.sessions[key].open += 1
        person.sessions[key].left = False
        return key

    def end(self, name: str, key: str) -> None:
        """A request of this person about this session has ended: what it left in the session is counted."""
        person = self._people[name]
        session = person.sessions[key]
        session.open -= 1
        size = self._measure(key)
        self._grow(person, size - session.size)
        session.size = size
        if session.left:
            self._drop_left(name, key)
        while person.size > self._bounds.bytes_a_person and self._drop_oldest(name):
            pass
        while self._size > self._bounds.bytes and self._drop_oldest(self._biggest(lambda person: person.size)):
            pass

    def leave(self, request: PageRequest) -> None:
        """The page of this session is gone: so is the session, once nothing is in progress in it."""
        person, key = self._people.get(request.person), request.session
        if person is not None and key is not None and key in person.sessions:
            person.sessions[key].left = True
            self._drop_left(request.person, key)

    def _drop_left(self, name: str, key: str) -> None:
        if not self._busy(key, self._people[name].sessions[key]):
            self._take_away(name, key)

    def _make_room(self, name: str) -> _Person:
        """The person, with place for one more session."""
        person = self._people.get(name)
        most = self._bounds.sessions_a_person
        if person is not None and len(person.sessions) >= most and not self._drop_oldest(name):
            raise TooManyStreams("sessions_used", params={"value": most})
        if self._count >= self._bounds.sessions:
            self._drop_oldest(self._biggest(lambda person: len(person.sessions)))
        return self._people.setdefault(name, _Person())

    def _biggest(self, size: Callable[[_Person], int]) -> str:
        return max(self._people, key=lambda name: size(self._people[name]))

    def _drop_oldest(self, name: str) -> bool:
        """Drop the session of this person that was used longest ago, of those where nothing is in progress."""
        person = self._people.get(name)
        idle = (key for key, session in person.sessions.items() if not self._busy(key, session)) if person else iter(())
        key = next(idle, None)
        if key is None:
            return False
        self._take_away(name, key)
        return True

    def _take_away(self, name: str, key: str) -> None:
        person = self._people[name]
        self._grow(person, -person.sessions.pop(key).size)
        self._count -= 1
        if not person.sessions:
            del self._people[name]
        self._drop(key)

    def _grow(self, person: _Person, by: int) -> None:
        person.size += by
        self._size += by

    def _drop(self, key: str) -> None:
        """Take the session away from Gradio."""
        holder, queue = self._page.state_holder, self._page._queue
        queue.pending_messages_per_session.pop(key, None)
        queue.pending_event_ids_session.pop(key, None)
        for table in (holder.session_data, holder.time_last_used, self._page.pending_streams):
            table.pop(key, None)
        self._page.pending_diff_streams.pop(key, None)
        self._forget(key)

    def _busy(self, key: str, session: _Session) -> bool:
        running = self._page._queue.event_ids_to_events
        return session.open > 0 or any(event in running for event in self._unfetched(key))

    def _unfetched(self, key: str) -> Collection[str]:
        return self._page._queue.pending_event_ids_session.get(key, ())  # type: ignore[no-any-return]

    def _session_of(self, event_id: str) -> str | None:
        """Whose event it is, as Gradio finds it."""
        queue = self._page._queue
        event = queue.event_ids_to_events.get(event_id)
        if event is not None:
            return str(event.session_hash)
        waiting = queue.pending_event_ids_session.items()
        return next((key for key, events in waiting if event_id in events), None)

    def _measure(self, key: str) -> int:
        """About how many bytes Gradio holds of the session: its values, and as much again for each result not fetched."""
        state = self._page.state_holder.session_data.get(key)
        if state is None:
            return 0
        props = (config.get("props", {}) for config in state.config_values.values() if config)
        values = {id(value): value for value in (*state.state_data.values(), *(one.get("value") for one in props))}
        return _size(list(values.values())) * (1 + len(self._unfetched(key)))


class SessionLimitMiddleware:
    """ASGI middleware of Gradio's application."""

    def __init__(self, app: ASGIApp, *, limits: SessionLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Raises: NotFound, TooManyStreams."""
        request: PageRequest | None = scope.get(PageRequest.KEY)
        if request is not None and scope["path"] == LEFT:
            self._limits.leave(request)
        if request is None or scope["path"] == LEFT:
            return await self._app(scope, receive, send)
        key = self._limits.begin(request, scope["path"], posts=scope["method"] == "POST")
        try:
            await self._app(scope, receive, send)
        finally:
            if key is not None:
                self._limits.end(request.person, key)
        return None


def _size(values: list[Any]) -> int:
    try:
        return len(orjson.dumps(values, default=lambda _: None, option=orjson.OPT_NON_STR_KEYS))
    except TypeError:  # half a surrogate pair, or very deep
        return len(repr(values))
