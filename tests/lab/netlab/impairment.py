"""What is wrong with one direction of a cable."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Impairment:
    """A perfect cable, unless a value says otherwise.

    delay_ms: one-way delay. jitter_ms: extra random delay up to this (order kept). loss, reorder,
    duplicate: fractions 0..1. reorder_ms: how long a reordered frame is held back. rate_mbit: 0 is
    unlimited; queue_ms: its buffer, and a full one drops.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 30.0
    duplicate: float = 0.0
    rate_mbit: float = 0.0
    queue_ms: float = 200.0

    def __post_init__(self) -> None:
        for name in ("loss", "reorder", "duplicate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a fraction between 0 and 1")

    @property
    def active(self) -> bool:
        """Whether anything is wrong at all."""
        return self.slow or bool(self.loss or self.rate_mbit)

    @property
    def slow(self) -> bool:
        """Whether it needs the relay: the kernel does loss and rate only."""
        return bool(self.delay_ms or self.jitter_ms or self.reorder or self.duplicate)

    def values(self) -> dict[str, float]:
        """As JSON for the relay."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


PERFECT = Impairment()
