"""Build of a Space: waits until a commit runs, shows what goes on, and the Space's own log where it fails.

Right after a change the Hub still shows the build before, RUNNING or failed. So a stage counts where it names the commit, or
comes after a build was seen; of the same commit it counts after a moment, since a new start may be about to come.
"""

import time
from collections.abc import Callable

from hfchat.deploy.refusals import DeployError, HubFailed
from hfchat.deploy.space import Runtime, Space

Say = Callable[[str], None]
# A first build installs everything, which takes 3 to 6 minutes.
BUILD_TIMEOUT_S = 30 * 60
POLL_S = 5.0
# A stage that goes on is told again so often.
STILL_S = 30.0
# A failure that stays for so long is final: one of this commit, and one of another, as which it may be shown.
FAILURE_S = 20.0
OTHERS_FAILURE_S = 120.0
# How long a Space that runs may take to begin the start that a changed setting causes.
RESTART_S = 10.0
# How long a Space may stay paused after it was started.
PAUSED_S = 60.0
# In a wait of minutes the Hub, or the network, fails now and then.
MAX_FAILED_POLLS = 3
_UP = ("RUNNING", "SLEEPING")
_BUILD_FAILED = ("BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE")
_FAILED = (*_BUILD_FAILED, "RUNTIME_ERROR")
_STOPPED = ("PAUSED", "STOPPED")


def wait_for_build(
    space: Space,
    sha: str,
    say: Say,
    *,
    restarts: bool = False,
    poll_s: float = POLL_S,
    timeout_s: float = BUILD_TIMEOUT_S,
) -> None:
    """Wait until the commit `sha` runs. One that sleeps is up: a visit wakes it. `restarts`: a setting was changed just now.

    Raises: DeployError where it fails, with the Space's own log told by `say`, or takes too long.
    """
    wait = _Wait(space, sha, say, RESTART_S if restarts else 0.0)
    failures = 0
    while True:
        try:
            if wait.over(space.runtime()):
                return
            failures = 0
        except HubFailed:
            failures += 1
            if failures > MAX_FAILED_POLLS:
                raise
        if wait.waited_s > timeout_s:
            raise DeployError(
                f"It is not running after {round(timeout_s / 60)} minutes. Run the command again to go on waiting, or look at "
                f"https://huggingface.co/spaces/{space.repo_id}?logs=build"
            )
        time.sleep(poll_s)


class _Wait:
    """What was seen so far."""

    def __init__(self, space: Space, sha: str, say: Say, restart_s: float) -> None:
        self._space = space
        self._sha = sha
        self._say = say
        self._restart_s = restart_s
        self._began = time.monotonic()
        self._built = False
        self._started_at_s: float | None = None
        self._last = ("", 0.0)

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self._began

    def over(self, runtime: Runtime) -> bool:
        """Whether the commit runs. Raises: DeployError."""
        stage = runtime.stage
        self._built = self._built or "BUILDING" in stage or "STARTING" in stage
        # The Hub may name no commit; then what comes after a build is its end.
        ours = runtime.sha == self._sha or (runtime.sha is None and self._built)
        up = ours and (self._built or self.waited_s >= self._restart_s)
        self._show(stage if up or stage not in _UP else "WAITING_FOR_THE_BUILD")
        if stage in _STOPPED:
            self._start(stage)
        elif stage in _FAILED and (self._built or self.waited_s >= (FAILURE_S if ours else OTHERS_FAILURE_S)):
            self._fail(runtime)
        return up and stage in _UP

    def _show(self, stage: str) -> None:
        waited_s = self.waited_s
        if stage != self._last[0] or waited_s - self._last[1] >= STILL_S:
            self._say(f"{round(waited_s):>4} s  {stage.lower().replace('_', ' ')}")
            self._last = (stage, waited_s)

    def _start(self, stage: str) -> None:
        if self._started_at_s is None:
            self._space.restart()
            self._started_at_s = self.waited_s
        elif self.waited_s - self._started_at_s >= PAUSED_S:
            raise DeployError(f"The Space is {stage.lower()} and does not start: start it in its settings.")

    def _fail(self, runtime: Runtime) -> None:
        build = runtime.stage in _BUILD_FAILED
        for line in [*self._space.log(build=build), *([runtime.message] if runtime.message else [])]:
            self._say(f"  | {line}")
        raise DeployError(f"The Space does not {'build' if build else 'start'} ({runtime.stage}): its log is above.")
