"""What tests ask of an error, in short."""

from hfchat.errors import HfchatError


def reason_of(error: HfchatError) -> str:
    """Its reason, and after a bar what the reason names."""
    return f"{error.reason}|{error.params['value']}" if "value" in error.params else error.reason
