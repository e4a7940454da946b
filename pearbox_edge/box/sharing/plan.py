"""What must be done to a drive so that it equals what was found on the disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pearbox_edge.box.files import Found, FoundFile, FoundLink, Skipped

from .stamps import is_known


class Known(NamedTuple):
    """A drive's entry as far as comparing needs it: bytes (None: no blob), mode, link target."""

    size: int | None
    executable: bool
    linkname: str | None


@dataclass(slots=True)
class Plan:
    """The steps: `check` holds files of equal size that must be read to know."""

    put: list[FoundFile] = field(default_factory=list)
    check: list[FoundFile] = field(default_factory=list)
    links: list[FoundLink] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the drive is as it should be."""
        return not (self.put or self.check or self.links or self.gone)


def make_plan(
    found: Iterable[Found], known: Mapping[str, Known], stamps: Mapping[str, bytes]
) -> Plan:
    """Compare what lies on the disk with what the drive has.

    known: the drive's entries by path, those of the part of the drive that `found` covers.
    stamps: stored stamps by path.
    """
    plan = Plan()
    seen: set[str] = set()
    for item in found:
        match item:
            case FoundFile():
                seen.add(item.drive_path)
                _place(item, known.get(item.drive_path), stamps.get(item.drive_path), plan)
            case FoundLink():
                seen.add(item.drive_path)
                entry = known.get(item.drive_path)
                if entry is None or entry.linkname != item.target:
                    plan.links.append(item)
            case Skipped():
                plan.skipped.append(item)
    kept = tuple({item.drive_path for item in plan.skipped})
    plan.gone = [path for path in known if path not in seen and not _is_below(path, kept)]
    return plan


def _place(item: FoundFile, entry: Known | None, stored: bytes | None, plan: Plan) -> None:
    if entry is None or entry.linkname is not None:
        plan.put.append(item)
    elif is_known(item.stamp, stored) and entry.size == item.stamp.size:
        return
    elif entry.size == item.stamp.size and entry.executable == item.stamp.executable:
        plan.check.append(item)
    else:
        plan.put.append(item)


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
