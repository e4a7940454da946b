"""Heads: what a sync says of ours, what one told of theirs, and when to ask for the way to it."""

from typing import NamedTuple

from .messages import Sync


class OwnHead(NamedTuple):
    """What a sync says of this side. `complete`: every block up to `length` is held.

    `allow_push`: blocks that were not asked for are taken too.
    """

    fork: int
    length: int
    has_manifest: bool
    downloading: bool
    complete: bool
    allow_push: bool = False


class HeadExchange:
    """The heads of the two ends of one channel.

    `remote` is the last sync heard. `can_upgrade` is our promise to prove the way from their
    length to ours; while it must be looked up (`checking`) no sync leaves.

        start --first sync--> talking --both not downloading--> idle (the channel may close)
    """

    def __init__(self) -> None:
        self.remote: Sync | None = None
        self.can_upgrade = True
        self.checking: tuple[int, int] | None = None
        self.sync_due = False
        self.said: Sync | None = None
        self.proved_length = 0
        """The longest length of theirs that we can prove from: they can serve blocks below it."""
        self._proved_fork = -1

    @property
    def acknowledged(self) -> int:
        """Our length as they last heard it."""
        return self.remote.remote_length if self.remote is not None else 0

    def hear(self, sync: Sync, own: OwnHead) -> None:
        """A sync arrived; may make one of ours due."""
        before, self.remote = self.remote, sync
        same_fork = sync.fork == own.fork
        changed = before is None or (sync.fork, sync.length) != (before.fork, before.length)
        if changed or not same_fork:
            self._judge(own)
        if same_fork and own.length > sync.length:
            self.sync_due = True

    def own_changed(self, own: OwnHead) -> None:
        """Our head, manifest or flags changed: a sync is due."""
        self.sync_due = True
        self._judge(own)

    def _judge(self, own: OwnHead) -> None:
        """Work out `can_upgrade`, or note that it must be looked up."""
        sync = self.remote
        self.checking = None
        if sync is None:
            self.can_upgrade = True
        elif sync.fork != own.fork:
            self.can_upgrade = False
        elif sync.length == 0:
            self.can_upgrade = True
        elif sync.length >= own.length:
            self.can_upgrade = False
        elif own.complete:
            self._proved(own.fork, sync.length)
        elif (self._proved_fork, self.proved_length) == (own.fork, sync.length):
            self.can_upgrade = True
        else:
            self.checking = (own.fork, sync.length)

    def _proved(self, fork: int, length: int) -> None:
        self.can_upgrade = True
        self._proved_fork = fork
        self.proved_length = length

    def checked(self, fork: int, length: int, *, can_prove: bool) -> None:
        """The look-up for `checking` is done; nothing happens if it is out of date."""
        if self.checking != (fork, length):
            return
        self.checking = None
        if can_prove:
            self._proved(fork, length)
        else:
            self.can_upgrade = False

    def take_sync(self, own: OwnHead) -> Sync | None:
        """The sync to send now, or None: nothing is due, or a look-up is under way."""
        if not self.sync_due or self.checking is not None:
            return None
        self.sync_due = False
        remote = self.remote
        self.said = Sync(
            fork=own.fork,
            length=own.length,
            remote_length=remote.length if remote is not None and remote.fork == own.fork else 0,
            can_upgrade=self.can_upgrade,
            downloading=own.downloading,
            has_manifest=own.has_manifest,
            allow_push=own.allow_push,
        )
        return self.said

    def is_idle(self, own: OwnHead) -> bool:
        """Whether neither side wants anything of the other."""
        return self.remote is not None and not (own.downloading or self.remote.downloading)

    def offers_upgrade(self, own: OwnHead) -> bool:
        """Whether they can be asked now for the way to a longer head of our fork."""
        remote = self.remote
        return (
            remote is not None
            and remote.fork == own.fork
            and remote.can_upgrade
            and remote.length > own.length
            and remote.remote_length == own.length
        )

    def offers_reorg(self, own: OwnHead) -> bool:
        """Whether they have a newer fork than ours."""
        return self.remote is not None and self.remote.fork > own.fork and self.remote.length > 0

    def may_bring_news(self, own: OwnHead) -> bool:
        """Whether a newer head may still come from them."""
        remote = self.remote
        if remote is None or self.offers_reorg(own):
            return True
        if remote.fork != own.fork or remote.length <= own.length:
            return False
        # Not acknowledged yet: their next sync tells whether they can prove it.
        return remote.can_upgrade or remote.remote_length != own.length

    def servable_length(self, own: OwnHead, *, has_last: bool = False) -> int:
        """They can be asked for blocks below this length.

        has_last: they announced the last block of our head, so they have that head. Upstream does
        not always say so with a sync: not if we came to it from others while it looked.
        """
        remote = self.remote
        if remote is None or remote.fork != own.fork:
            return 0
        if remote.length >= own.length or has_last:
            return own.length
        # A path may end in a root that a shorter tree does not have, unless we know its roots.
        if self._proved_fork == own.fork:
            return min(self.proved_length, remote.length)
        return 0
