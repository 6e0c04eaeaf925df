"""Bucket on Hugging Face, through the hub's client: its files by name. Every failure becomes StoreUnavailable.

The client's calls block, some of them without a time-out, so each runs in a thread of its own that is left behind when it hangs.
"""

import asyncio
import re
import tempfile
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import BucketFile, HfApi

from hfchat.errors import StoreUnavailable

T = TypeVar("T")
# A small file is there in about 1 s.
CALL_TIMEOUT_S = 8.0
# Calls that hang. Further ones are refused at once.
MAX_THREADS = 8
MAX_FILE_BYTES = 64 * 1024 * 1024
PREFIX = "hf://buckets/"
# How the client's storage library (hf_xet) says what the Hub answered, in an error without the answer.
_STATUS = re.compile(r"HTTP status client error \((\d{3})\b")


class BucketFailure(Exception):
    """Why a call failed, in a sentence for the owner's log."""


class HubBucket:
    """The bucket at `hf://buckets/OWNER/NAME`, which has no other files. Used in one event loop.

    `endpoint` is another Hub than the one that HF_ENDPOINT names.
    """

    def __init__(
        self, address: str, *, hf_token: str, timeout_s: float = CALL_TIMEOUT_S, endpoint: str | None = None
    ) -> None:
        self._id = address.removeprefix(PREFIX)
        self._api = HfApi(token=hf_token, endpoint=endpoint)
        self._timeout_s = timeout_s
        self._threads = 0

    async def private(self) -> bool:
        """Whether only its owner, or its organisation, can read it."""
        return (await self._call(lambda: self._api.bucket_info(self._id))).private is True

    async def names(self) -> list[str]:
        """The paths of all files."""
        return await self._call(self._names)

    async def read(self, name: str) -> bytes:
        """The content of the file at this path."""
        return await self._call(lambda: self._read(name))

    async def write(self, name: str, content: bytes) -> None:
        """Write the file; returns once the Hub has acknowledged it."""
        await self._call(lambda: self._api.batch_bucket_files(self._id, add=[(content, name)]))

    async def delete(self, names: Collection[str]) -> None:
        """Delete files."""
        await self._call(lambda: self._api.batch_bucket_files(self._id, delete=list(names)))

    def _names(self) -> list[str]:
        files = self._api.list_bucket_tree(self._id, recursive=True)
        return [file.path for file in files if isinstance(file, BucketFile)]

    def _read(self, name: str) -> bytes:
        (file,) = self._api.get_bucket_paths_info(self._id, [name])
        if file.size > MAX_FILE_BYTES:
            raise ValueError(name)
        with tempfile.TemporaryDirectory(prefix="hfchat-") as folder:
            local = Path(folder) / "file"
            self._api.download_bucket_files(self._id, [(file, local)])
            return local.read_bytes()

    async def _call(self, work: Callable[[], T]) -> T:
        if self._threads >= MAX_THREADS:
            raise StoreUnavailable from BucketFailure(f"{MAX_THREADS} requests to the Hub hang")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def finish(result: Any, failure: BaseException | None) -> None:
            self._threads -= 1
            if done.done():
                return
            if failure is None:
                done.set_result(result)
            else:
                done.set_exception(failure)

        def run() -> None:
            try:
                outcome: tuple[Any, BaseException | None] = (work(), None)
            except BaseException as failure:
                outcome = (None, failure)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, *outcome)

        self._threads += 1
        threading.Thread(target=run, name="hfchat-bucket", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await done
        except Exception as failure:
            raise StoreUnavailable from BucketFailure(self._explain(failure))

    def _explain(self, failure: Exception) -> str:
        status = getattr(getattr(failure, "response", None), "status_code", None)
        if status is None and (match := _STATUS.search(str(failure))):
            status = int(match[1])
        match status:
            case 404:
                return f"there is no {PREFIX}{self._id}, or HUGGINGFACE_API_TOKEN may not see it"
            case 401 | 403:
                return f"HUGGINGFACE_API_TOKEN may not read and write {PREFIX}{self._id}"
            case int():
                return f"the Hub answered {status} for {PREFIX}{self._id}"
        if isinstance(failure, TimeoutError):
            return f"the Hub did not answer within {self._timeout_s:g} s"
        return f"{PREFIX}{self._id} was not reached, or a file of it is missing ({type(failure).__name__})"
