"""Which paths take part in a mirror."""

from collections.abc import Sequence
from dataclasses import dataclass

from pearbox_edge.data.drive import normalise_folder
from pearbox_edge.errors import InputError


@dataclass(frozen=True, slots=True)
class Selection:
    """Files at or below one of `only` (none: all), but none at or below one of `ignored`."""

    only: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, only: Sequence[str] = (), ignored: Sequence[str] = ()) -> "Selection":
        """From paths as people give them; InputError for one that cannot be."""
        return cls(
            tuple(folder for path in only if (folder := normalise_folder(path))),
            tuple(_named(path) for path in ignored),
        )

    def takes(self, path: str) -> bool:
        """Whether a drive's path takes part."""
        if self.only and not any(is_at_or_below(path, folder) for folder in self.only):
            return False
        return not any(is_at_or_below(path, folder) for folder in self.ignored)


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` (without slash at its end) or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def _named(path: str) -> str:
    folder = normalise_folder(path)
    if not folder:
        raise InputError("ignoring everything leaves nothing to mirror")
    return folder
