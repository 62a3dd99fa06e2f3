# SPDX-License-Identifier: Apache-2.0
"""A guest in Python that runs what it is told, for tests of what a component can and cannot do."""

from typing import Any

from gym_host_sdk import Attempt, Context, Verdict, any_tool, resources_server, verify

#: What calls leave behind for later ones in the same instance.
KEPT: list[Any] = []


def run(code: str, cx: Context) -> Any:
    """Runs code; gives what it leaves in `result`."""
    scope: dict[str, Any] = {"cx": cx, "kept": KEPT}
    exec(compile(code, "<told>", "exec"), scope)
    return scope.get("result")


@resources_server(default_session=True, verify="pooled")
class Probe:
    """Tools run in the session, grading in any instance."""

    @any_tool
    def tell(self, name: str, arguments: Any, cx: Context) -> Any:
        return run(arguments["code"], cx)

    @verify
    def verify(self, attempt: Attempt[dict], cx: Context) -> Verdict:
        KEPT.append(1)
        return Verdict(1.0, calls=len(KEPT), result=run(attempt.task["code"], cx))
