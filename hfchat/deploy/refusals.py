"""What the Hub refuses to a deployment, in one plain sentence with the choice there is."""

from collections.abc import Callable, Collection

from huggingface_hub.errors import HfHubHTTPError

ZERO_GPU = "zero-a10g"
# Of what an account or a token may not have: payment asked, forbidden, not there.
NO_BUCKET = frozenset({402, 403, 404})
_FREE_HARDWARE = (None, "cpu-basic")
_MAX_WORDS = 300


class DeployError(Exception):
    """The Space cannot be as it is to be; the text says why and what to do."""


class HubFailed(DeployError):
    """The Hub, or the way to it, failed; the same call may succeed later."""


def explain(
    refused: HfHubHTTPError,
    repo_id: str,
    hardware: str | None,
    *,
    is_pro: Callable[[], bool],
    secrets: Collection[str] = (),
) -> DeployError:
    """The sentence for a refusal. `is_pro` is asked only where an account must pay; `secrets` are cut out of the Hub's words."""
    status = refused.response.status_code
    owner = repo_id.partition("/")[0]
    if status == 401:
        return DeployError(
            "Hugging Face refuses the token. Sign in with one that may write: .venv/bin/hf auth login, or set HF_TOKEN."
        )
    if status == 402:
        return DeployError(_payment(hardware, pro=is_pro()))
    if status == 403 and hardware == ZERO_GPU:
        return DeployError(
            "Hugging Face does not give this account a Space on ZeroGPU: a free one may have two, 30 days after it was made "
            "and with a verified e-mail address. Delete one of its Spaces on ZeroGPU, wait, or subscribe to PRO."
        )
    if status == 403:
        return DeployError(
            f"This token may not change Spaces of {owner}. Make one of the kind “write” at "
            "https://huggingface.co/settings/tokens, and sign in with it: .venv/bin/hf auth login"
        )
    if status == 404:
        return DeployError(f"Hugging Face knows no account {owner}, or no Space {repo_id}.")
    if status == 429:
        return HubFailed(
            "Hugging Face limits requests. Run the command again in five minutes: it goes on where it ended."
        )
    words = f": {refused.server_message}" if refused.server_message else ""
    for secret in secrets:
        words = words.replace(secret, "...")
    kind = HubFailed if status >= 500 else DeployError
    return kind(f"Hugging Face refused (HTTP {status}{words}"[:_MAX_WORDS] + "). Run the command again.")


def no_bucket(bucket: str) -> DeployError:
    """The sentence for a bucket that is refused."""
    return DeployError(
        f"Hugging Face does not give this account the private bucket {bucket}: the token that deploys may not make one, or the "
        "account has no room for it (https://huggingface.co/settings/billing)."
    )


def _payment(hardware: str | None, *, pro: bool) -> str:
    if hardware not in _FREE_HARDWARE:
        return (
            f"{hardware} costs money, and this account has no means of payment: add one at "
            "https://huggingface.co/settings/billing, or choose other hardware."
        )
    if pro:
        return (
            "Hugging Face asks for payment although the account is PRO: an organisation needs Team or Enterprise of its own. "
            "See https://huggingface.co/settings/billing."
        )
    return (
        "A free account cannot host this on cpu-basic: Hugging Face asks for PRO (https://huggingface.co/pro). It may be hosted "
        f"on ZeroGPU, at no cost: run the command again with --hardware {ZERO_GPU}. That needs a verified e-mail address and an "
        "account older than 30 days."
    )
