"""Which stages have their turn, and which of them whatever is cached.

>>> Selection(first="train").upstream, Selection(first="train").forced
"""

from dataclasses import dataclass

from tasks.pipeline import STAGES, Stage, from_stage, stage

STALE_EXIT_CODE = 3


@dataclass(frozen=True)
class Selection:
    """What was asked for, by names of stages: all of them where nothing is said.

    `first` and all after it run whatever is cached, `until` is the last, `only` has its turn alone, each of `forced`
    runs whatever is cached. `accept_stale` goes on from stale upstream stages; without it they are a reason to refuse.
    Raises ValueError for a name that is no stage, and for what contradicts itself.
    """

    first: str | None = None
    until: str | None = None
    only: str | None = None
    force: tuple[str, ...] = ()
    accept_stale: bool = False

    def __post_init__(self) -> None:
        """Check the names."""
        for name in filter(None, (self.first, self.until, self.only, *self.force)):
            stage(name)
        if self.only and (self.first or self.until):
            raise ValueError("--only names one stage: leave --from and --until out")
        if not self.chosen:
            raise ValueError(f"--from {self.first} comes after --until {self.until}: there is no stage in between")
        if strange := [name for name in self.force if stage(name) not in self.chosen]:
            raise ValueError(f"--force {strange[0]} is outside of the stages that have their turn")

    @property
    def chosen(self) -> tuple[Stage, ...]:
        """List the stages that have their turn."""
        begin = STAGES.index(stage(self.only or self.first or STAGES[0].name))
        end = STAGES.index(stage(self.only or self.until or STAGES[-1].name))
        return STAGES[begin : end + 1]

    @property
    def upstream(self) -> tuple[Stage, ...]:
        """List the stages to the left of these: they must be fresh, as they don't have their turn."""
        return STAGES[: STAGES.index(self.chosen[0])]

    @property
    def forced(self) -> tuple[Stage, ...]:
        """List the stages that run whatever is cached."""
        after = from_stage(self.first) if self.first else ()
        return tuple(row for row in self.chosen if row in after or row.name in self.force)
