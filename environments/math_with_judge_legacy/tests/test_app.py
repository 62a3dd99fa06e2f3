# SPDX-License-Identifier: Apache-2.0
from importlib.metadata import version

import corpus
import library


def test_the_library_says_of_all_pairs_what_the_corpus_states_for_this_version():
    assert version("math-verify") == "0.7.0"
    assert corpus.mistakes() == []


def test_some_pairs_are_seen_otherwise_than_by_the_newer_version():
    differing = [pair for pair in corpus.read() if pair.verdict("0.7.0") != pair.verdict("0.8.0")]
    assert len(differing) >= 5
    assert [library.compare(pair.expected, pair.said)[0] for pair in differing] == [0.0] * len(differing)
