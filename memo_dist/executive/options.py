"""ExecutiveOptions: how long the executive goes on."""

from dataclasses import dataclass

from memo_dist.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ExecutiveOptions:
    """Budgets of one question.

    Attributes:
        entity_turns: replies of the language model to find out whom the question is about.
        answer_turns: replies to find the answer once that is known.
        dead_end_after: a question that the memory did not know so many times is not asked again.
        skip_entity: go straight to seeking the answer.
        trials: of a question whose run failed.

    Raises:
        ConfigError: one is out of range.
    """

    entity_turns: int = 5
    answer_turns: int = 5
    dead_end_after: int = 2
    skip_entity: bool = False
    trials: int = 3

    def __post_init__(self) -> None:
        for name, least in (("entity_turns", 0), ("answer_turns", 0), ("dead_end_after", 1), ("trials", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected {least} or more")
