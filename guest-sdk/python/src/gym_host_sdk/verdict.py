# SPDX-License-Identifier: Apache-2.0
"""What grading and stepping give."""

from typing import Any, Iterable, Mapping


class Verdict:
    """The grade of one finished response: the reward, and whatever else the reply of `/verify` should tell.

    The reward must be finite: the host makes a fault of anything else.
    """

    __slots__ = ("reward", "components", "fields")

    def __init__(self, reward: float, **fields: Any) -> None:
        #: The reward.
        self.reward = float(reward)
        #: The named parts of the reward; empty when there is only one.
        self.components: list[tuple[str, float]] = []
        #: The other fields of the reply. They win over fields of the same name that are repeated from the request.
        self.fields: dict[str, Any] = dict(fields)

    @classmethod
    def of(cls, right: "bool | float | Verdict") -> "Verdict":
        """1 for a right answer, 0 for a wrong one; a number as it is."""
        return right if isinstance(right, Verdict) else cls(float(right))

    @classmethod
    def of_components(cls, components: "Mapping[str, float] | Iterable[tuple[str, float]]", **fields: Any) -> "Verdict":
        """A verdict whose reward is the sum of named parts, reported as `reward_components`."""
        pairs = components.items() if isinstance(components, Mapping) else components
        parts = [(name, float(part)) for name, part in pairs]
        verdict = cls(sum(part for _, part in parts), **fields)
        verdict.components = parts
        return verdict

    def field(self, name: str, value: Any) -> "Verdict":
        """Adds a field to the reply."""
        self.fields[name] = value
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return (self.reward, self.components, self.fields) == (other.reward, other.components, other.fields)

    def __repr__(self) -> str:
        return f"Verdict({self.reward}, components={self.components}, fields={self.fields})"


class PlainText(str):
    """A tool's reply that is not JSON: the model reads it as it is."""


class Observation:
    """What the model sees of a gymnasium-style environment."""

    __slots__ = ("text", "info")

    def __init__(self, text: str | None = None, **info: Any) -> None:
        #: The next user message; None if there is nothing to say.
        self.text = text
        #: Anything else, for example `tool_outputs`.
        self.info: dict[str, Any] = dict(info)

    @classmethod
    def of(cls, value: "Observation | str | None") -> "Observation":
        """Text as an observation."""
        return value if isinstance(value, Observation) else cls(value)

    def __repr__(self) -> str:
        return f"Observation({self.text!r}, info={self.info})"


class StepOutcome:
    """The outcome of one step of a gymnasium-style environment. The rewards of all steps are added up."""

    __slots__ = ("observation", "reward", "terminated", "truncated")

    def __init__(
        self,
        observation: Observation | str | None = None,
        reward: float = 0.0,
        *,
        terminated: bool = False,
        truncated: bool = False,
    ) -> None:
        #: What the model sees next.
        self.observation = Observation.of(observation)
        #: The reward of this step. It must be finite.
        self.reward = float(reward)
        #: The task reached an end.
        self.terminated = terminated
        #: The attempt was cut off before an end.
        self.truncated = truncated

    def __repr__(self) -> str:
        return (
            f"StepOutcome({self.observation!r}, {self.reward}, "
            f"terminated={self.terminated}, truncated={self.truncated})"
        )
