"""Deployment: compares a plan with what the Space has, and lists the steps that are left. cli/deploy.py runs them.

Each step is one call, and does not need a step before it to be of the same run. So a run that was killed anywhere is completed
by the next, and a run with nothing to do changes nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from hfchat.deploy.plan import Plan
from hfchat.deploy.refusals import DeployError
from hfchat.deploy.space import MARK, Space, State, same_file


@dataclass(frozen=True, slots=True)
class Step:
    """One change, in words and as a call. `restarts`: the Space starts again after it, without a new commit."""

    says: str
    make: Callable[[], None]
    restarts: bool = False


def steps(plan: Plan, space: Space, state: State | None, *, hardware: str | None, private: bool) -> list[Step]:
    """The changes that are left to make, in order: settings before files, so that the build of these is the last."""
    remaining = _bucket(plan, space)
    if state is None:
        return [*remaining, _creation(plan, space, hardware, private=private), _commit(space, plan.files, [])]
    if private and not state.private:
        remaining.append(Step("Make it private.", space.hide))
    if hardware is not None and space.runtime().hardware != hardware:
        remaining.append(
            Step(f"Move it to the hardware {hardware}.", partial(space.set_hardware, hardware), restarts=True)
        )
    remaining += _settings(plan, space, state)
    changed = {path: content for path, content in plan.files.items() if not same_file(content, state.files.get(path))}
    gone = [path for path in state.files if path.startswith("hfchat/") and path not in plan.files]
    if changed or gone:
        remaining.append(_commit(space, changed, gone))
    return remaining


def _bucket(plan: Plan, space: Space) -> list[Step]:
    """The bucket of the ledger, before the Space that needs it. Raises: DeployError for a public one."""
    if plan.bucket is None:
        return []
    private = space.bucket_private(plan.bucket)
    if private is False:
        raise DeployError(
            f"The bucket {plan.bucket} is public, and the ledger names people. Make it private in its settings, or write another "
            "one into HFCHAT_STORE_COPY."
        )
    return (
        []
        if private
        else [Step(f"Create the private bucket {plan.bucket}.", partial(space.create_bucket, plan.bucket))]
    )


def _creation(plan: Plan, space: Space, hardware: str | None, *, private: bool) -> Step:
    secrets = {name: (value, _secret_mark(plan, name)) for name, value in plan.secrets.items()}
    return Step(
        f"Create the {'private' if private else 'public'} Space {plan.repo_id} on {hardware or 'cpu-basic'}, with "
        f"{_named('secret', plan.secrets)} and {_named('variable', plan.variables)}.",
        partial(space.create, secrets, plan.variables, hardware, private=private),
    )


def _settings(plan: Plan, space: Space, state: State) -> list[Step]:
    changes = [
        (f"Delete the variable {name}: it is to be a secret.", partial(space.delete_variable, name))
        for name in plan.secrets
        if name in state.variables
    ]
    changes += [
        (f"Delete the variable {name}: it is no longer in .env.", partial(space.delete_variable, name))
        for name in sorted(state.own_variables - plan.variables.keys() - plan.secrets.keys())
    ]
    changes += [
        (f"Delete the secret {name}: it is no longer one in .env.", partial(space.delete_secret, name))
        for name, description in state.secrets.items()
        if description.startswith(MARK) and name not in plan.secrets
    ]
    changes += [
        (f"Set the secret {name}{_ends_tokens(name, state)}.", partial(space.set_secret, name, value, description))
        for name, value in plan.secrets.items()
        if state.secrets.get(name) != (description := _secret_mark(plan, name))
    ]
    changes += [
        (f"Set the variable {name}.", partial(space.set_variable, name, value))
        for name, value in plan.variables.items()
        if state.variables.get(name) != value
    ]
    return [Step(says, make, restarts=True) for says, make in changes]


def _ends_tokens(name: str, state: State) -> str:
    replaced = name == "JWT_SECRET" and name in state.secrets
    return ": tokens and links that were signed with the one before end" if replaced else ""


def _commit(space: Space, changed: dict[str, bytes], gone: list[str]) -> Step:
    deleted = f", and delete {len(gone)}" if gone else ""
    files = f"{len(changed)} file{'' if len(changed) == 1 else 's'}"
    return Step(f"Upload {files}{deleted}, as one commit.", partial(space.commit, changed, gone))


def _secret_mark(plan: Plan, name: str) -> str:
    """What is written beside this secret: who set it, and a fingerprint of its value, which nobody can read."""
    return f"{MARK} {plan.fingerprint(name)}"


def _named(kind: str, names: Collection[str]) -> str:
    return f"the {kind}{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else f"no {kind}s"
