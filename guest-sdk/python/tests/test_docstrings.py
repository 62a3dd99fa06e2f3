# SPDX-License-Identifier: Apache-2.0
import pytest

from gym_host_sdk import docstrings

GOOGLE = """First line.

    More.

    Args:
        city: The city,
            in English.
        size (int, optional): How many.

    Returns:
        Nothing: really.
    """
NUMPY = """First line.

    More.

    Parameters
    ----------
    city : str
        The city,
        in English.
    size : int, optional
        How many.

    Returns
    -------
    str
        Nothing: really.
    """
SPHINX = """First line.

    More.

    :param city: The city,
        in English.
    :type city: str
    :param int size: How many.
    :returns: Nothing: really.
    :rtype: str
    """


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX])
def test_each_style_says_the_same(doc):
    read = docstrings.read(doc)
    assert read.text == "First line.\n\nMore."
    assert read.entries == {"city": "The city, in English.", "size": "How many."}


@pytest.mark.parametrize(
    ("doc", "text", "entries"),
    [
        ("", "", {}),
        ("Only text.", "Only text.", {}),
        ("Note that\n:this: is no field.", "Note that\n:this: is no field.", {}),
        ("A.\n\nArgs:\n    x: One.\n\nAfter.", "A.\n\nAfter.", {"x": "One."}),
        ("A.\n\nArgs:\n    x:\n        One.\n    y: Two: three.", "A.", {"x": "One.", "y": "Two: three."}),
        ("A.\n\nParameters\n----------\nx, y : int\n    Both.\nz\n    The third.", "A.", dict(x="Both.", y="Both.", z="The third.")),
        ("A.\n\nAttributes\n----------\nx : int\n    One.", "A.", {"x": "One."}),
        ("A.\n\n:ivar x: One.\n\nAfter.", "A.\n\n\nAfter.", {"x": "One."}),
        # A heading without a line below it is text.
        ("Parameters\nof the world", "Parameters\nof the world", {}),
    ],
)
def test_other_docstrings(doc, text, entries):
    read = docstrings.read(doc)
    assert (read.text, read.entries) == (text, entries)
