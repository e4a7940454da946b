"""Every error on one page, grouped by what the catcher should do.

A person reads `str(error)`: one line that says what is wrong and, where they can act, what to do.
A program reads `.code`: the upstream name where there is one.
"""


class PearboxError(Exception):
    """The root of all our errors."""

    default_code = "PEARBOX_ERROR"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code if code is not None else self.default_code


class PeerError(PearboxError):
    """They broke the format or the protocol: drop that peer and count it."""

    default_code = "INVALID_PEER"


class UsageError(PearboxError):
    """Our own code called something wrongly: a bug, let it surface."""

    default_code = "BAD_ARGUMENT"


class InputError(PearboxError):
    """What a person gave cannot be used: tell them what to do, change nothing."""

    default_code = "BAD_INPUT"


class UnavailableError(PearboxError):
    """Not now (timeout, closed, no peers): try again later."""

    default_code = "UNAVAILABLE"


class StorageError(PearboxError):
    """The disk is full, damaged or gone: stop writing, keep serving."""

    default_code = "STORAGE"


class DeniedError(PearboxError):
    """Not allowed, wrong code, window shut: slow down and count."""

    default_code = "DENIED"


class ConfigError(PearboxError):
    """Cannot start like this: exit status 78, no restart."""

    default_code = "BAD_CONFIG"
