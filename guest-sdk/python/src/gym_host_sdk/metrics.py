# SPDX-License-Identifier: Apache-2.0
"""Metrics of an environment's own."""

from dataclasses import dataclass, field
from typing import Any, Iterator


@dataclass
class MetricsRequest:
    """What `@aggregate_metrics` gets: the replies of `/verify` for one collection of rollouts."""

    #: The replies, grouped by task.
    tasks: list[list[dict[str, Any]]] = field(default_factory=list)
    #: The metrics that the host has computed.
    agent_metrics: dict[str, Any] = field(default_factory=dict)

    def replies(self) -> Iterator[dict[str, Any]]:
        """All replies, task by task."""
        for task in self.tasks:
            yield from task


@dataclass
class Metrics:
    """What `@aggregate_metrics` adds."""

    #: Merged into the metrics of the host.
    agent_metrics: dict[str, Any] = field(default_factory=dict)
    #: Replaces the choice of the most important metrics.
    key_metrics: dict[str, Any] | None = None
    #: Metrics of single tasks: objects with `_ng_task_index`.
    per_task_metrics: list[dict[str, Any]] = field(default_factory=list)

    def as_reply(self) -> dict[str, Any]:
        """Only what was set."""
        reply: dict[str, Any] = {}
        if self.agent_metrics:
            reply["agent_metrics"] = self.agent_metrics
        if self.key_metrics is not None:
            reply["key_metrics"] = self.key_metrics
        if self.per_task_metrics:
            reply["per_task_metrics"] = self.per_task_metrics
        return reply
