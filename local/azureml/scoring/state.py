"""Which deployment answers a request, and whether the caller may ask. Pure."""

from collections.abc import Mapping

# Bodies of the managed online endpoints' front door, as users report them.
NO_HEADER = "key_auth_bad_header_forbidden"
WRONG_KEY = "key_auth_access_denied"
# What a token of Microsoft Entra must be for. Source: the SDK, which gets such a token for an endpoint's callers.
AUDIENCE = "https://ml.azure.com"


def bearer(header: str | None) -> str | None:
    """Answer the key or token of an Authorization header, or None when it has another form."""
    scheme, _, value = (header or "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def choose(traffic: Mapping[str, int], draw: float) -> str | None:
    """Choose a deployment by its share of the traffic; None when none has any.

    Args: draw: a random number in [0, 100).
    """
    reached = 0
    for name, share in traffic.items():
        reached += share
        if draw < reached:
            return name
    return None
