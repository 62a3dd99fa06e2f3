# SPDX-License-Identifier: Apache-2.0
"""Tasks whose solution is a function, or a method of a class `Solution`."""

import itertools

from task import Task


def numbers(random, most=8, low=-9, high=9):
    return [random.randint(low, high) for _ in range(random.randint(1, most))]


def letters(random, most=8, kinds="abc"):
    return "".join(random.choices(kinds, k=random.randint(1, most)))


def pairs_of(values, total):
    return next([a, b] for a, b in itertools.combinations(range(len(values)), 2) if values[a] + values[b] == total)


def merged(spans):
    inside = {half for low, high in spans for half in range(2 * low, 2 * high + 1)}
    low = [half for half in sorted(inside) if half - 1 not in inside]
    high = [half for half in sorted(inside) if half + 1 not in inside]
    return [[a // 2, b // 2] for a, b in zip(low, high)]


def edits(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


def water(heights):
    return sum(max(0, min(max(heights[: i + 1]), max(heights[i:])) - h) for i, h in enumerate(heights))


def spiral(rows):
    out = []
    while rows:
        out += rows[0]
        rows = [list(row) for row in zip(*rows[1:])][::-1]
    return out


def method(signature, body):
    return f"class Solution:\n    def {signature}:\n" + "\n".join("        " + row for row in body.split("\n"))


TASKS = [
    Task(
        "Write `two_sum(nums, target)`: the indices, in ascending order, of the two numbers that make the target. There is "
        "one such pair.",
        pairs_of,
        [[[2, 7, 11, 15], 9], [[3, 3], 6], [[1, 5, -5, 8], 3]],
        lambda random: [[1, 20, 300, 4000, 50000][: random.randint(2, 5)][::-1] + [7], 8],
        method(
            "two_sum(self, nums: List[int], target: int) -> List[int]",
            "seen = {}\nfor i, x in enumerate(nums):\n    if target - x in seen:\n        return (seen[target - x], i)\n    seen[x] = i",
        ),
        method("two_sum(self, nums, target)", "return [nums.index(x) for x in nums if target - x in nums][:2]"),
        1,
        False,
        "two_sum",
    ),
    Task(
        "Write `merge(spans)`: the intervals that remain when those that touch or overlap are made one, in ascending order.",
        merged,
        [[[[1, 3], [2, 6], [8, 10]]], [[[1, 4], [4, 5]]], [[[5, 6], [1, 2]]]],
        lambda random: [[sorted([random.randint(0, 20), random.randint(0, 20)]) for _ in range(random.randint(1, 5))]],
        method(
            "merge(self, spans)",
            "out = []\nfor a, b in sorted(spans):\n    if out and a <= out[-1][1]:\n        out[-1] = (out[-1][0], max(b, out[-1][1]))\n"
            "    else:\n        out.append((a, b))\nreturn out",
        ),
        method(
            "merge(self, spans)",
            "out = []\nfor a, b in sorted(spans):\n    if out and a < out[-1][1]:\n        out[-1][1] = max(b, out[-1][1])\n"
            "    else:\n        out.append([a, b])\nreturn out",
        ),
        1,
        False,
        "merge",
        "medium",
    ),
    Task(
        "Write `distance(a, b)`: the least number of letters to insert, remove or replace that turns one word into the other.",
        edits,
        [["horse", "ros"], ["", "abc"], ["same", "same"]],
        lambda random: [letters(random, 5), letters(random, 5)],
        "from functools import lru_cache\n\ndef distance(a, b):\n    @lru_cache(None)\n    def go(i, j):\n"
        "        if i == len(a) or j == len(b):\n            return len(a) - i + len(b) - j\n        if a[i] == b[j]:\n"
        "            return go(i + 1, j + 1)\n        return 1 + min(go(i + 1, j), go(i, j + 1), go(i + 1, j + 1))\n    return go(0, 0)",
        "def distance(a, b):\n    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b))",
        0,
        False,
        "distance",
        "hard",
    ),
    Task(
        "Write `trap(heights)`: how much water stays between bars of these heights and width 1.",
        water,
        [[[0, 1, 0, 2, 1, 0, 1, 3, 2, 1, 2, 1]], [[3, 0, 3]], [[1, 2, 3]]],
        lambda random: [numbers(random, 9, 0, 6)],
        method(
            "trap(self, heights)",
            "i, j, low, out = 0, len(heights) - 1, 0, 0\nwhile i <= j:\n    h = min(heights[i], heights[j])\n    low = max(low, h)\n"
            "    out += low - h\n    if heights[i] <= heights[j]:\n        i += 1\n    else:\n        j -= 1\nreturn out",
        ),
        method("trap(self, heights)", "return sum(max(heights) - h for h in heights)"),
        0,
        False,
        "trap",
        "hard",
    ),
    Task(
        "Write `spiral(rows)`: the numbers of a table in a spiral that begins at the upper left and goes right first.",
        spiral,
        [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], [[[1, 2], [3, 4]]], [[[7]]]],
        lambda random: [[[random.randint(0, 99) for _ in range(4)] for _ in range(random.randint(1, 4))]],
        "def spiral(rows):\n    out = []\n    while rows:\n        out += rows.pop(0)\n        rows = list(map(list, zip(*rows)))[::-1]\n    return out",
        "def spiral(rows):\n    return [x for i, row in enumerate(rows) for x in row[::-1 if i % 2 else 1]]",
        0,
        False,
        "spiral",
        "medium",
    ),
    Task(
        "Write `mean(values)`: the arithmetic mean. An error of a millionth does not matter.",
        lambda values: sum(values) / len(values),
        [[[1, 2]], [[1, 1, 2]], [[-3, 3]]],
        lambda random: [numbers(random)],
        "def mean(values):\n    import statistics\n    return statistics.fmean(values) + 1e-9",
        "def mean(values):\n    return sum(values) // len(values)",
        0,
        False,
        "mean",
    ),
    Task(
        "Write `is_palindrome(text)`: whether a text reads the same backwards, letters and digits only, in capitals or not.",
        lambda text: (lambda said: said == said[::-1])([c.lower() for c in text if c.isalnum()]),
        [["A man, a plan, a canal: Panama"], ["race a car"], [" "]],
        lambda random: [letters(random, 4, "aA b")],
        method("is_palindrome(self, text)", "import re\nt = re.sub('[^a-z0-9]', '', text.lower())\nreturn t == t[::-1]"),
        method("is_palindrome(self, text)", "return text == text[::-1]"),
        0,
        False,
        "is_palindrome",
    ),
    Task(
        "Write `group(words)`: a dictionary that has the words of each length, in their order. Keys are texts.",
        lambda words: {str(n): [w for w in words if len(w) == n] for n in dict.fromkeys(map(len, words))},
        [[["a", "bb", "c"]], [[]], [["tea", "eat", "it"]]],
        lambda random: [[letters(random, 4) for _ in range(random.randint(1, 6))]],
        "from collections import defaultdict\n\ndef group(words):\n    out = defaultdict(list)\n    for w in words:\n        out[str(len(w))].append(w)\n    return out",
        "def group(words):\n    return {str(len(w)): [w] for w in words}",
        0,
        False,
        "group",
    ),
    Task(
        "Write `power(base, exponent)`: the base to the power of the exponent, all digits of it.",
        lambda base, exponent: eval("*".join([str(base)] * exponent) or "1"),
        [[2, 10], [7, 0], [3, 300]],
        lambda random: [random.randint(2, 9), random.randint(1, 200)],
        "power = pow",
        "def power(base, exponent):\n    return base * exponent",
        0,
        False,
        "power",
    ),
    Task(
        "Write `subsets(nums)`: all subsets of different numbers, each in ascending order, shorter ones first, then in "
        "ascending order.",
        lambda nums: [list(c) for n in range(len(nums) + 1) for c in itertools.combinations(sorted(nums), n)],
        [[[1, 2, 3]], [[]], [[5, 1]]],
        lambda random: [random.sample(range(20), random.randint(1, 4))],
        "from itertools import combinations\nclass Solution:\n    def subsets(self, nums):\n        out = [[]]\n        for x in sorted(nums):\n"
        "            out += [s + [x] for s in out]\n        return sorted(out, key=lambda s: (len(s), s))",
        method("subsets(self, nums)", "out = [[]]\nfor x in sorted(nums):\n    out += [s + [x] for s in out]\nreturn out"),
        0,
        False,
        "subsets",
        "medium",
    ),
    Task(
        "Write `roots(a, b, c)`: the real solutions of a·x² + b·x + c = 0 in ascending order, one that is double once. "
        "An error of a millionth does not matter.",
        lambda a, b, c: sorted({(-b + sign * (b * b - 4 * a * c) ** 0.5) / (2 * a) for sign in (1, -1)}) if b * b >= 4 * a * c else [],
        [[1, -3, 2], [1, 2, 1], [1, 0, 1]],
        lambda random: [random.choice([-2, 1, 3]), random.randint(-9, 9), random.randint(-9, 3)],
        "def roots(a, b, c):\n    d = b * b - 4 * a * c\n    if d < 0:\n        return ()\n    r = math.sqrt(d)\n"
        "    return tuple(sorted({(-b - r) / (2 * a), (-b + r) / (2 * a)}))",
        "def roots(a, b, c):\n    d = b * b - 4 * a * c\n    r = math.sqrt(d)\n    return sorted({(-b - r) / (2 * a), (-b + r) / (2 * a)})",
        2,
        -4,
        "roots",
    ),
    Task(
        "Write `count(text)`: a list of pairs of a letter and how often it occurs, in the order of the alphabet.",
        lambda text: [[letter, text.count(letter)] for letter in sorted(set(text))],
        [["banana"], [""], ["zz"]],
        lambda random: [letters(random)],
        "class Solution:\n    def count(self, text):\n        return sorted(Counter(text).items())",
        "class Solution:\n    def count(self, text):\n        return Counter(text)",
        0,
        False,
        "count",
    ),
    Task(
        "Write `climb(n)`: in how many ways n steps can be climbed, one or two at a time.",
        lambda n: sum(1 for size in range(n + 1) for way in itertools.product((1, 2), repeat=size) if sum(way) == n),
        [[1], [2], [5]],
        lambda random: [random.randint(3, 9)],
        "class Solution:\n    seen = {0: 1, 1: 1}\n    def climb(self, n):\n        if n not in self.seen:\n"
        "            self.seen[n] = self.climb(n - 1) + self.climb(n - 2)\n        return self.seen[n]",
        "class Solution:\n    def climb(self, n):\n        return 2 ** (n - 1)",
        2,
        False,
        "climb",
    ),
    Task(
        "Write `stable(values)`: whether the difference of neighbours is never more than 1, and null for an empty list.",
        lambda values: all(abs(a - b) <= 1 for a, b in itertools.pairwise(values)) if values else None,
        [[[1, 2, 2, 1]], [[1, 3]], [[]]],
        lambda random: [numbers(random, 4, 0, 2)],
        "def stable(values):\n    if not values:\n        return None\n    return max((abs(a - b) for a, b in zip(values, values[1:])), default=0) < 2",
        "def stable(values):\n    return all(abs(a - b) <= 1 for a, b in zip(values, values[1:]))",
        2,
        False,
        "stable",
    ),
]
