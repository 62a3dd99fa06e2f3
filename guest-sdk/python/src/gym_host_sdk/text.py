# SPDX-License-Identifier: Apache-2.0
"""Text rules that graders share."""


def normalize(text: str) -> str:
    """`text` in lower case, each run of white space one space, none around it. For comparing what people write."""
    return " ".join(text.lower().split())


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed{…}`, with its braces counted. None when there is no box, or when the last one is
    not closed."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start += len("\\boxed{")
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return text[start:index]
    return None


def unwrap_text(text: str) -> str:
    """`text` without the `\\text{…}` that wraps all of it, however often, and without white space around it."""
    inner = text.strip()
    while inner.startswith("\\text{") and inner.endswith("}"):
        inner = inner[len("\\text{") : -1].strip()
    return inner
