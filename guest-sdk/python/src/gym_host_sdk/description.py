# SPDX-License-Identifier: Apache-2.0
"""What an environment says of itself. The decorator fills this in from the code."""

import enum
from dataclasses import dataclass, field
from typing import Any


class Lifetime(enum.Enum):
    """Where the calls of one kind run."""

    #: In the instance that belongs to the caller's session.
    SESSION = "session"
    #: In a fresh instance for every call.
    CALL = "call"
    #: In an instance that may have served other calls before. Only for calls that leave nothing behind that a later one
    #: could notice.
    POOLED = "pooled"


class Style(enum.Enum):
    """How attempts are driven."""

    #: Seeding, any number of tool calls, then grading.
    TOOLS = "tools"
    #: `reset`, then one `step` for each model response.
    GYMNASIUM = "gymnasium"


class Reverify(enum.Enum):
    """Whether stored responses may be graded again without a session."""

    STATELESS = "stateless"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


@dataclass
class Tool:
    """A function that the model may call."""

    #: What the model writes to call it. Letters, digits, `_` and `-`.
    name: str
    #: What the model reads to decide whether to call it.
    description: str
    #: JSON Schema of the arguments, strict.
    parameters: dict[str, Any]


@dataclass
class Score:
    """A number that `pass@k` and its relatives are computed for."""

    #: Its name in the metrics, for example `accuracy`.
    name: str
    #: The field of the verify reply that holds it, for example `reward`.
    field: str
    #: Only rows where this field is present and not null count.
    only_if_present: str | None = None


@dataclass
class PassMetrics:
    """Asks the host for `pass@k`, `pass@1[avg-of-k]` and, with an answer field, `majority@k`."""

    #: The scores.
    scores: list[Score]
    #: The field of the verify reply with the extracted answer.
    answer_field: str | None = None
    #: A field whose value splits the metrics into subsets.
    subset_field: str | None = None


@dataclass
class Description:
    """What an environment says of itself. A method marked `@describe` may change it, also by the configuration."""

    #: The environment's name, for example `mcqa`.
    name: str
    #: Version of the environment, for example `1.2.0`.
    version: str
    #: How attempts are driven.
    style: Style = Style.TOOLS
    #: Where seeding and tools run. Unless it is `Lifetime.SESSION`, there is no seeding.
    tools_run_in: Lifetime = Lifetime.SESSION
    #: Where grading runs.
    verify_runs_in: Lifetime = Lifetime.SESSION
    #: Whether stored responses may be graded again without a session.
    reverify: Reverify = Reverify.UNKNOWN
    #: JSON Schema of the fields that seeding (or `reset`) reads from a dataset row. None: nothing is checked.
    seed_fields: dict[str, Any] | None = None
    #: JSON Schema of the fields that grading (or `step`) reads besides `responses_create_params` and `response`.
    verify_fields: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    #: Which of the `verify_fields` are repeated in the reply of `/verify`, in this order.
    echo: list[str] = field(default_factory=list)
    #: The tools.
    tools: list[Tool] = field(default_factory=list)
    #: Whether calls of tools that are not in `tools` reach the environment.
    any_tool: bool = False
    #: Whether requests keep token ids and log-probabilities.
    token_ids: bool = False
    #: Which shared metrics the host computes.
    metrics: PassMetrics | None = None
    #: Whether the environment adds metrics of its own.
    own_metrics: bool = False
