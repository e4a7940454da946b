"""What can go wrong with a lab."""


class NetlabError(RuntimeError):
    """A lab operation failed."""


class LabUnavailable(NetlabError):
    """This machine cannot run the lab; the message says what is missing."""
