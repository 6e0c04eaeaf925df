"""Deployment: compares a plan with what the Space has, makes the difference, and waits for the new build.

Each step is one call, and none depends on one before it having been made by this run. So a run that was killed anywhere is
made up for by the next, and a run with nothing to do changes nothing.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from hfchat.deploy.plan import Plan
from hfchat.deploy.refusals import DeployError
from hfchat.deploy.space import MARK, Runtime, Space, State, same_file

Say = Callable[[str], None]
# A first build installs everything, which takes 3 to 6 minutes.
BUILD_TIMEOUT_S = 30 * 60
POLL_S = 5.0
# A failure of an earlier build is shown for a moment after an upload; one that stays is the new one's.
STALE_FAILURE_S = 120.0
# In a wait of minutes the Hub, or the network, fails now and then.
MAX_FAILED_POLLS = 3
_UP = ("RUNNING", "SLEEPING")
_BUILD_FAILED = ("BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE")
_STOPPED = ("PAUSED", "STOPPED")


@dataclass(frozen=True, slots=True)
class Step:
    """One change, in words and as a call."""

    says: str
    make: Callable[[], None]


def steps(plan: Plan, space: Space, state: State | None, *, hardware: str | None, private: bool) -> list[Step]:
    """The changes that are left to make, in order: settings before files, so that the build of these is the last."""
    if state is None:
        return [_creation(plan, space, hardware, private=private), _commit(space, plan.files, [])]
    found: list[Step] = []
    if private and not state.private:
        found.append(Step("Make it private.", space.hide))
    if hardware is not None and space.runtime().hardware != hardware:
        found.append(Step(f"Move it to the hardware {hardware}.", partial(space.set_hardware, hardware)))
    found += _settings(plan, space, state)
    changed = {path: content for path, content in plan.files.items() if not same_file(content, state.files.get(path))}
    gone = [path for path in state.files if path.startswith("hfchat/") and path not in plan.files]
    if changed or gone:
        found.append(_commit(space, changed, gone))
    return found


def _creation(plan: Plan, space: Space, hardware: str | None, *, private: bool) -> Step:
    secrets = {name: (value, _description(plan, name)) for name, value in plan.secrets.items()}
    return Step(
        f"Create the {'private' if private else 'public'} Space {plan.repo_id} on {hardware or 'cpu-basic'}, with "
        f"{_named('secret', plan.secrets)} and {_named('variable', plan.variables)}.",
        partial(space.create, secrets, plan.variables, hardware, private=private),
    )


def _settings(plan: Plan, space: Space, state: State) -> list[Step]:
    found = [
        Step(f"Delete the variable {name}: it is to be a secret.", partial(space.delete_variable, name))
        for name in plan.secrets
        if name in state.variables
    ]
    found += [
        Step(f"Delete the variable {name}: it is no longer in .env.", partial(space.delete_variable, name))
        for name in sorted(state.own_variables - plan.variables.keys() - plan.secrets.keys())
    ]
    found += [
        Step(f"Delete the secret {name}: it is no longer one in .env.", partial(space.delete_secret, name))
        for name, description in state.secrets.items()
        if description.startswith(MARK) and name not in plan.secrets
    ]
    found += [
        Step(f"Set the secret {name}.", partial(space.set_secret, name, value, description))
        for name, value in plan.secrets.items()
        if state.secrets.get(name) != (description := _description(plan, name))
    ]
    found += [
        Step(f"Set the variable {name}.", partial(space.set_variable, name, value))
        for name, value in plan.variables.items()
        if state.variables.get(name) != value
    ]
    return found


def _commit(space: Space, changed: dict[str, bytes], gone: list[str]) -> Step:
    deleted = f", and delete {len(gone)}" if gone else ""
    return Step(f"Upload {len(changed)} files{deleted}, as one commit.", partial(space.commit, changed, gone))


def _description(plan: Plan, name: str) -> str:
    return f"{MARK} {plan.fingerprint(name)}"


def _named(kind: str, names: Collection[str]) -> str:
    return f"the {kind}{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else f"no {kind}s"


def wait_for_build(
    space: Space, sha: str, say: Say, *, poll_s: float = POLL_S, timeout_s: float = BUILD_TIMEOUT_S
) -> None:
    """Wait until the commit `sha` runs. Right after an upload the old build is RUNNING still, so the stage alone says nothing.

    Raises: DeployError where it fails, with the Space's own log told by `say`, or takes too long.
    """
    began, last, restarted, built, failures = time.monotonic(), "", False, False, 0
    while True:
        waited_s = time.monotonic() - began
        try:
            runtime, failures = space.runtime(), 0
        except DeployError:
            failures += 1
            if failures > MAX_FAILED_POLLS:
                raise
            time.sleep(poll_s)
            continue
        built = built or "BUILDING" in runtime.stage or "STARTING" in runtime.stage
        # The Hub may name no commit; then what comes after a build is its end.
        ours = runtime.sha == sha or (runtime.sha is None and built)
        stage = runtime.stage if ours or runtime.stage not in _UP else "WAITING_FOR_THE_BUILD"
        if stage != last:
            say(f"{round(waited_s):>4} s  {stage.lower().replace('_', ' ')}")
            last = stage
        if ours and runtime.stage in _UP:
            return
        if runtime.stage in _STOPPED:
            if restarted:
                raise DeployError(f"The Space is {runtime.stage.lower()}: start it in its settings.")
            space.restart()
            restarted = True
        elif ours or built or waited_s > STALE_FAILURE_S:
            _raise_failure(space, runtime, say)
        if waited_s > timeout_s:
            raise DeployError(
                f"It is not running after {round(timeout_s / 60)} minutes. Run the command again to go on waiting, or look at "
                f"https://huggingface.co/spaces/{space.repo_id}?logs=build"
            )
        time.sleep(poll_s)


def _raise_failure(space: Space, runtime: Runtime, say: Say) -> None:
    """Raises: DeployError, where the build or the start has failed."""
    build = runtime.stage in _BUILD_FAILED
    if not build and runtime.stage != "RUNTIME_ERROR":
        return
    for line in [*space.log(build=build), *([runtime.message] if runtime.message else [])]:
        say(f"  | {line}")
    what = "build" if build else "start"
    raise DeployError(f"The Space does not {what} ({runtime.stage}): its log is above.")
