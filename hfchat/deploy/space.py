"""A Space on the Hub: what it has, and each change to it as one call of the Hub's client. Its failures become DeployError."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1, sha256
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import disable_progress_bars

from hfchat.deploy.refusals import NO_BUCKET, DeployError, HubFailed, explain, no_bucket

# Of each part of an answer; a commit of all files takes the Hub some seconds.
TIMEOUT_S = 60.0
LOG_LINES = 40
# Marks what a deployment has set: only that does a later one take away.
MARK = "hfchat deploy"
_TEMPLATE_FILES = frozenset({".gitattributes", "README.md"})
_PROGRAM = "hfchat/__init__.py"


@dataclass(frozen=True, slots=True)
class State:
    """What a Space has now. `files` are hashes by path: git's name of the blob, or SHA-256 where the file is stored apart."""

    url: str
    private: bool
    sha: str
    files: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    own_variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a Space does now: its `stage`, the commit that it runs, and its hardware."""

    stage: str
    sha: str | None
    hardware: str | None
    message: str = field(default="", repr=False)


class Space:
    """The Space `repo_id`, at the Hub `endpoint`, with a token that may write there."""

    def __init__(self, repo_id: str, *, endpoint: str, token: str) -> None:
        _prepare_client()
        self.repo_id = repo_id
        self.endpoint = endpoint
        self._api = HfApi(endpoint=endpoint, token=token)

    def state(self) -> State | None:
        """What it has; None where there is no such Space. Raises: DeployError, also where it is another program's."""
        with self._explained():
            try:
                info = self._api.space_info(self.repo_id)
            except HfHubHTTPError as refused:
                if refused.response.status_code != 404:
                    raise
                return None
            files = {item.path: item for item in self._tree()}
            others = files.keys() - _TEMPLATE_FILES
            if info.sdk not in (None, "gradio") or (others and _PROGRAM not in files):
                raise DeployError(
                    f"There is a Space {self.repo_id} with another program in it, which would be overwritten. "
                    "Choose another name."
                )
            secrets = self._api.get_space_secrets(self.repo_id)
            variables = self._api.get_space_variables(self.repo_id)
        return State(
            url=_url(info, self.repo_id),
            private=bool(info.private),
            sha=info.sha or "",
            files={path: item.lfs.sha256 if item.lfs else item.blob_id for path, item in files.items()},
            secrets={name: secret.description or "" for name, secret in secrets.items()},
            variables={name: variable.value for name, variable in variables.items()},
            own_variables=frozenset(name for name, variable in variables.items() if variable.description == MARK),
        )

    def _tree(self) -> Iterator[RepoFile]:
        tree = self._api.list_repo_tree(self.repo_id, recursive=True, repo_type="space")
        return (item for item in tree if isinstance(item, RepoFile))

    def create(
        self,
        secrets: Mapping[str, tuple[str, str]],
        variables: Mapping[str, str],
        hardware: str | None,
        *,
        private: bool,
    ) -> None:
        """Make it, with its settings in the same call; `secrets` with their descriptions. One that is there stays as it is."""
        with self._explained(hardware, [value for value, _ in secrets.values()]):
            try:
                self._api.create_repo(
                    self.repo_id,
                    repo_type="space",
                    space_sdk="gradio",
                    visibility="private" if private else "public",
                    space_hardware=_flavor(hardware),
                    space_secrets=[_item(name, *secret) for name, secret in secrets.items()],
                    space_variables=[_item(name, value, MARK) for name, value in variables.items()],
                )
            except HfHubHTTPError as refused:
                if refused.response.status_code != 409:
                    raise

    def hide(self) -> None:
        """Make it private."""
        with self._explained():
            self._api.update_repo_settings(self.repo_id, repo_type="space", visibility="private")

    def set_hardware(self, hardware: str) -> None:
        """Move it to another machine."""
        with self._explained(hardware):
            self._api.request_space_hardware(self.repo_id, _flavor(hardware))

    def bucket_private(self, bucket: str) -> bool | None:
        """Whether only its owner can read this bucket, `OWNER/NAME`; None where there is none that the token may see."""
        with self._explained(bucket=bucket):
            try:
                return self._api.bucket_info(bucket).private is True
            except HfHubHTTPError as refused:
                if refused.response.status_code != 404:
                    raise
                return None

    def create_bucket(self, bucket: str) -> None:
        """Make a private bucket; one that is there stays as it is."""
        with self._explained(bucket=bucket):
            self._api.create_bucket(bucket, private=True, exist_ok=True)  # without `private` it would be public

    def set_secret(self, name: str, value: str, description: str) -> None:
        """Set a secret."""
        with self._explained(secrets=[value]):
            self._api.add_space_secret(self.repo_id, name, value, description=description)

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable."""
        with self._explained():
            self._api.add_space_variable(self.repo_id, name, value, description=MARK)

    def delete_secret(self, name: str) -> None:
        """Take a secret away."""
        with self._explained():
            self._api.delete_space_secret(self.repo_id, name)

    def delete_variable(self, name: str) -> None:
        """Take a variable away."""
        with self._explained():
            self._api.delete_space_variable(self.repo_id, name)

    def commit(self, files: Mapping[str, bytes], deleted: Iterable[str]) -> None:
        """Upload the files and delete others, as one commit."""
        operations: list[Any] = [CommitOperationAdd(path, content) for path, content in files.items()]
        operations += [CommitOperationDelete(path) for path in deleted]
        with self._explained():
            self._api.create_commit(
                self.repo_id, operations, commit_message="Deploy hfchat", repo_type="space", revision="main"
            )

    def runtime(self) -> Runtime:
        """What it does now."""
        with self._explained():
            runtime = self._api.get_space_runtime(self.repo_id)
        sha, message = runtime.raw.get("sha"), runtime.raw.get("errorMessage")
        hardware = runtime.requested_hardware or runtime.hardware
        return Runtime(str(runtime.stage), sha, str(hardware) if hardware else None, str(message or ""))

    def restart(self) -> None:
        """Start it again."""
        with self._explained():
            self._api.restart_space(self.repo_id)

    def log(self, *, build: bool) -> list[str]:
        """The last lines of its own log, of the build or of the run; none where the Hub does not give it."""
        lines: list[str] = []
        try:
            for text in self._api.fetch_space_logs(self.repo_id, build=build):
                lines += text.splitlines()
        except (httpx2.HTTPError, OSError, ValueError, KeyError):
            pass
        return lines[-LOG_LINES:]

    def delete(self) -> None:
        """Take it down for ever."""
        with self._explained():
            self._api.delete_repo(self.repo_id, repo_type="space", missing_ok=True)

    @contextmanager
    def _explained(
        self, hardware: str | None = None, secrets: Collection[str] = (), bucket: str | None = None
    ) -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as refused:
            if bucket is not None and refused.response.status_code in NO_BUCKET:
                raise no_bucket(bucket) from refused
            raise explain(refused, self.repo_id, hardware, is_pro=self._is_pro, secrets=secrets) from refused
        except (httpx2.HTTPError, OSError) as failure:
            raise HubFailed(
                f"{self.endpoint} cannot be reached ({type(failure).__name__}). Run the command again: it goes on where it "
                "ended."
            ) from failure

    def _is_pro(self) -> bool:
        """Whether the owner of the token pays for PRO; asked only where it matters: the Hub allows few such questions."""
        try:
            return self._api.whoami().get("isPro") is True
        except (httpx2.HTTPError, OSError):
            return False


def same_file(content: bytes, known: str | None) -> bool:
    """Whether a file is the one that the Hub has under this hash."""
    blob = sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return known in (blob.hexdigest(), sha256(content).hexdigest())


@cache
def _prepare_client() -> None:
    """Once in a process: the Hub's client has no time limit of its own."""
    disable_progress_bars()
    set_client_factory(lambda: httpx2.Client(timeout=httpx2.Timeout(TIMEOUT_S, connect=10), follow_redirects=True))


def signed_in_token() -> str | None:
    """The token of HF_TOKEN, or else of `hf auth login`."""
    return get_token()


def _flavor(hardware: str | None) -> Any:
    # A name: the Hub has hardware that its client does not list yet.
    return hardware


def _item(name: str, value: str, description: str) -> dict[str, str]:
    return {"key": name, "value": value, "description": description}


def _url(info: Any, repo_id: str) -> str:
    host = getattr(info, "host", None)
    if isinstance(host, str) and host.startswith("http"):
        return host.rstrip("/")
    return space_url(repo_id)


def space_url(repo_id: str) -> str:
    """The address of a Space's own page, as Hugging Face makes it of its name."""
    name = "".join(letter if letter.isalnum() else "-" for letter in repo_id.lower().replace("/", "-"))
    return f"https://{name}.hf.space"
