# SPDX-License-Identifier: Apache-2.0
"""Makes a component of a Python environment's folder. `gym-host build` runs it."""

#: The version of componentize-py that components are made with.
COMPONENTIZE_PY = "0.25.1"
#: The version of Python inside components.
PYTHON = (3, 14)


class BuildError(Exception):
    """What keeps an environment from being built, as a sentence for its author. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
