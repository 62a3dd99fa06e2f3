# SPDX-License-Identifier: Apache-2.0
"""Tasks whose solution is a program that reads standard input."""

import itertools
import math

from task import Task


def numbers(text):
    return [int(word) for word in text.split()]


def line(values):
    return " ".join(map(str, values))


def longest_rise(text):
    values = numbers(text)[1:]
    best = 0
    for size in range(len(values) + 1):
        for chosen in itertools.combinations(values, size):
            if all(a < b for a, b in itertools.pairwise(chosen)):
                best = size
    return str(best)


def shortest_way(text):
    rows = text.split("\n")[1:]
    spots = {(r, c) for r, row in enumerate(rows) for c, mark in enumerate(row) if mark != "#"}
    reached, steps = {(0, 0)}, 0
    goal = (len(rows) - 1, len(rows[0]) - 1)
    while goal not in reached:
        wider = reached | {(r + dr, c + dc) for r, c in reached for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))} & spots
        if wider == reached:
            return "-1"
        reached, steps = wider, steps + 1
    return str(steps)


def grid(random):
    rows, columns = random.randint(2, 6), random.randint(2, 6)
    marks = [[random.choice("..#") for _ in range(columns)] for _ in range(rows)]
    marks[0][0] = marks[-1][-1] = "."
    return f"{rows} {columns}\n" + "\n".join(map("".join, marks))


def brackets(text):
    before = None
    while text != before:
        before, text = text, text.replace("()", "").replace("[]", "").replace("{}", "")
    return "NO" if text else "YES"


def coins(text):
    values = numbers(text)
    total, kinds = values[0], values[2:]
    reachable, count = {0}, 0
    while total not in reachable:
        wider = {sum + coin for sum in reachable for coin in kinds if sum + coin <= total}
        if not wider:
            return "-1"
        reachable, count = wider, count + 1
    return str(count)


def area(text):
    corners = [tuple(map(int, row.split())) for row in text.split("\n")[1:]]
    (ax, ay), (bx, by), (cx, cy) = corners
    sides = [math.dist(p, q) for p, q in itertools.combinations(corners, 2)]
    return repr(abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2) if min(sides) > 0 else "0.0"


def median(text):
    values = sorted(numbers(text)[1:])
    half = len(values) // 2
    return f"{values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2:.1f}"


def islands(text):
    lit = {(r, c) for r, row in enumerate(text.split("\n")[1:]) for c, mark in enumerate(row) if mark == "1"}
    count = 0
    while lit:
        count, group = count + 1, {lit.pop()}
        while group:
            r, c = group.pop()
            beside = {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & lit
            lit -= beside
            group |= beside
    return str(count)


def knapsack(text):
    rows = [numbers(row) for row in text.split("\n")]
    room, things = rows[0][1], rows[1:]
    best = 0
    for size in range(len(things) + 1):
        for chosen in itertools.combinations(things, size):
            if sum(weight for weight, _ in chosen) <= room:
                best = max(best, sum(value for _, value in chosen))
    return str(best)


def some(random, count, low, high):
    return line(random.randint(low, high) for _ in range(count))


def listed(low, high, most=9):
    def more(random):
        count = random.randint(1, most)
        return f"{count}\n{some(random, count, low, high)}"

    return more


TASKS = [
    Task(
        "Read two integers on one line and print their sum. They have up to 1,000 digits.",
        lambda text: str(sum(numbers(text))),
        ["1 2", "-5 5", "9" * 1000 + " 1"],
        lambda random: some(random, 2, -(10**30), 10**30),
        "a, b = map(int, input().split())\nprint(a + b)",
        "a, b = map(float, input().split())\nprint(int(a + b))",
        2,
        -4,
    ),
    Task(
        "The first line has n, the second n integers. Print them in ascending order on one line.",
        lambda text: line(sorted(numbers(text)[1:])),
        ["3\n3 1 2", "1\n7", "4\n10 9 100 -1"],
        listed(-99, 99),
        "import sys\nn, *v = map(int, sys.stdin.read().split())\nv.sort()\nprint(*v)",
        "n = input()\nprint(*sorted(input().split()))",
        2,
        -2,
    ),
    Task(
        "Read n and print all primes up to n, one a line. If there is none, print 0.",
        lambda text: "\n".join(str(p) for p in range(2, int(text) + 1) if all(p % d for d in range(2, p))) or "0",
        ["10", "1", "2"],
        lambda random: str(random.randint(3, 200)),
        "n = int(input())\nsieve = bytearray([1]) * (n + 1)\nfound = []\nfor p in range(2, n + 1):\n    if sieve[p]:\n"
        "        found.append(p)\n        for m in range(p * p, n + 1, p):\n            sieve[m] = 0\n"
        "print('\\n'.join(map(str, found)) or 0)",
        "n = int(input())\nfor p in range(2, n):\n    if all(p % d for d in range(2, p)):\n        print(p)",
        1,
        -2,
    ),
    Task(
        "The first line has n, the second n integers. Print the length of the longest strictly increasing subsequence.",
        longest_rise,
        ["5\n1 5 2 3 4", "3\n3 2 1", "4\n2 2 2 2"],
        listed(1, 9),
        "from bisect import bisect_left\ndef main():\n    input()\n    tails = []\n    for x in map(int, input().split()):\n"
        "        at = bisect_left(tails, x)\n        tails[at:at + 1] = [x]\n    print(len(tails))\n"
        "if __name__ == '__main__':\n    main()",
        "from bisect import bisect_right\ninput()\ntails = []\nfor x in map(int, input().split()):\n"
        "    at = bisect_right(tails, x)\n    tails[at:at + 1] = [x]\nprint(len(tails))",
        2,
        -2,
        difficulty="medium",
    ),
    Task(
        "The first line has the numbers of rows and columns of a map, then come the rows: `.` is free, `#` is a wall. Print "
        "the least number of steps from the upper left to the lower right corner, or -1.",
        shortest_way,
        ["2 2\n..\n..", "2 2\n.#\n#.", "3 4\n..#.\n#...\n..#."],
        grid,
        "from collections import deque\nr, c = map(int, input().split())\nm = [input() for _ in range(r)]\n"
        "dist = {(0, 0): 0}\nq = deque(dist)\nwhile q:\n    y, x = q.popleft()\n"
        "    for a, b in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):\n"
        "        if 0 <= a < r and 0 <= b < c and m[a][b] == '.' and (a, b) not in dist:\n"
        "            dist[a, b] = dist[y, x] + 1\n            q.append((a, b))\nprint(dist.get((r - 1, c - 1), -1))",
        "r, c = map(int, input().split())\nprint(r + c - 2)",
        1,
        -2,
        difficulty="medium",
    ),
    Task(
        "Read one line of brackets ()[]{}. Print YES if they are balanced, else NO.",
        brackets,
        ["()[]{}", "([)]", "(", "{[()()]}"],
        lambda random: "".join(random.choice("()[]{}") for _ in range(random.randint(2, 8))),
        "pairs = {')': '(', ']': '[', '}': '{'}\nstack = []\nok = True\nfor c in input().strip():\n"
        "    if c not in pairs:\n        stack.append(c)\n    elif not stack or stack.pop() != pairs[c]:\n"
        "        ok = False\n        break\nprint('Yes' if ok and not stack else 'No')",
        "s = input()\nprint('YES' if all(s.count(a) == s.count(b) for a, b in ('()', '[]', '{}')) else 'NO')",
        1,
        -2,
    ),
    Task(
        "The first line has a total and the number of kinds of coins, the second their values. Print the least number of "
        "coins that make the total, or -1.",
        coins,
        ["11 3\n1 2 5", "3 1\n2", "6 3\n1 3 4"],
        lambda random: f"{random.randint(1, 30)} 3\n{some(random, 3, 2, 9)}",
        "t, _ = map(int, input().split())\nc = list(map(int, input().split()))\nbest = [0] + [10**9] * t\n"
        "for i in range(1, t + 1):\n    for x in c:\n        if x <= i:\n            best[i] = min(best[i], best[i - x] + 1)\n"
        "print(best[t] if best[t] < 10**9 else -1)",
        "t, _ = map(int, input().split())\nn = 0\nfor c in sorted(map(int, input().split()), reverse=True):\n"
        "    n += t // c\n    t %= c\nprint(n if t == 0 else -1)",
        2,
        -2,
        difficulty="medium",
    ),
    Task(
        "The first line says 3, then come the corners of a triangle, one a line. Print its area; an error of a millionth "
        "does not matter.",
        area,
        ["3\n0 0\n1 0\n0 1", "3\n0 0\n3 0\n0 4", "3\n1 1\n2 3\n5 -7"],
        lambda random: "3\n" + "\n".join(some(random, 2, -9, 9) for _ in range(3)),
        "import math\ninput()\np = [tuple(map(int, input().split())) for _ in range(3)]\n"
        "a, b, c = math.dist(p[0], p[1]), math.dist(p[1], p[2]), math.dist(p[2], p[0])\ns = (a + b + c) / 2\n"
        "print('%.9f' % math.sqrt(max(0, s * (s - a) * (s - b) * (s - c))))",
        "input()\n(a, b), (c, d), (e, f) = [map(int, input().split()) for _ in range(3)]\n"
        "print(((c - a) * (f - b) - (e - a) * (d - b)) // 2)",
        0,
        -2,
    ),
    Task(
        "The first line has n, the second n integers. Print their median with one digit after the point.",
        median,
        ["3\n1 9 2", "4\n1 2 3 4", "1\n-5"],
        listed(-50, 50),
        "import statistics\ninput()\nprint(f'{statistics.median(map(int, input().split())):.1f}')",
        "input()\nv = sorted(map(int, input().split()))\nprint(f'{v[len(v) // 2]:.1f}')",
        1,
        -2,
    ),
    Task(
        "Read lines until the end of the input. Print the number of words, counting a word once however often it occurs, "
        "and whether in capitals or not.",
        lambda text: str(len({word.lower() for word in text.split()})),
        ["a b A", "one two\nTwo three", "x"],
        lambda random: "\n".join(" ".join(random.choices("ab Ab aB ba BA c".split(), k=3)) for _ in range(3)),
        "import sys\nwords = set()\nfor row in sys.stdin:\n    words.update(row.lower().split())\nprint(len(words))",
        "import sys\nprint(len(set(sys.stdin.read().split())))",
        0,
        -2,
    ),
    Task(
        "The first line has rows and columns, then come rows of 0 and 1. Print the number of groups of ones that touch at "
        "their sides.",
        islands,
        ["2 2\n11\n00", "3 3\n101\n000\n101", "2 2\n11\n11"],
        lambda random: "4 5\n" + "\n".join("".join(random.choices("01", k=5)) for _ in range(4)),
        "import sys\nsys.setrecursionlimit(10000)\nr, c = map(int, input().split())\nm = [list(input()) for _ in range(r)]\n"
        "def fill(y, x):\n    if 0 <= y < r and 0 <= x < c and m[y][x] == '1':\n        m[y][x] = '0'\n        fill(y + 1, x)\n"
        "        fill(y - 1, x)\n        fill(y, x + 1)\n        fill(y, x - 1)\n        return 1\n    return 0\n"
        "print(sum(fill(y, x) for y in range(r) for x in range(c)))",
        "r, c = map(int, input().split())\nprint(sum(len(input().replace('0', ' ').split()) for _ in range(r)))",
        2,
        -2,
        difficulty="medium",
    ),
    Task(
        "The first line has the number of things and the room in a bag, then come weight and value of each thing. Print the "
        "greatest value that fits.",
        knapsack,
        ["3 5\n2 3\n3 4\n4 5", "1 1\n2 10", "1 4\n2 5"],
        lambda random: f"5 {random.randint(5, 20)}\n" + "\n".join(some(random, 2, 1, 9) for _ in range(5)),
        "n, room = map(int, input().split())\nbest = [0] * (room + 1)\nfor _ in range(n):\n"
        "    w, v = map(int, input().split())\n    for left in range(room, w - 1, -1):\n"
        "        best[left] = max(best[left], best[left - w] + v)\nprint(best[room])",
        "n, room = map(int, input().split())\nbest = [0] * (room + 1)\nfor _ in range(n):\n"
        "    w, v = map(int, input().split())\n    for left in range(w, room + 1):\n"
        "        best[left] = max(best[left], best[left - w] + v)\nprint(best[room])",
        2,
        -2,
        difficulty="hard",
    ),
    Task(
        "Read n (up to 10,000) and print the n-th Fibonacci number; the first two are 1.",
        lambda text: str(fibonacci(int(text))),
        ["1", "2", "10", "10000"],
        lambda random: str(random.randint(3, 400)),
        "a, b = 0, 1\nfor _ in range(int(input())):\n    a, b = b, a + b\nprint(a)",
        "import math\nn = int(input())\nf = (1 + math.sqrt(5)) / 2\nprint(round(f ** n / math.sqrt(5)))",
        3,
        -4,
    ),
    Task(
        "The first line has n, the second n integers. Print the greatest sum of neighbours, of at least one of them.",
        lambda text: str(max(sum(numbers(text)[1:][a:b]) for a in range(len(numbers(text)) - 1) for b in range(a + 1, len(numbers(text))))),
        ["4\n1 -2 3 4", "3\n-3 -1 -2", "1\n5"],
        listed(-9, 9),
        "import sys\nread = sys.stdin.buffer.readline\nread()\nbest = run = None\nfor x in map(int, read().split()):\n"
        "    run = x if run is None or run < 0 else run + x\n    best = run if best is None else max(best, run)\nprint(best)",
        "input()\nbest = run = 0\nfor x in map(int, input().split()):\n    run = max(0, run + x)\n    best = max(best, run)\nprint(best)",
        1,
        -2,
    ),
    Task(
        "Read a word and print the letter that occurs most often; of several the first in the alphabet.",
        lambda text: min(set(text), key=lambda letter: (-text.count(letter), letter)),
        ["banana", "abc", "zzaa"],
        lambda random: "".join(random.choices("abcd", k=7)),
        "from collections import Counter\ncount = Counter(sorted(input().strip()))\nprint(count.most_common(1)[0][0])",
        "from collections import Counter\nprint(Counter(input().strip()).most_common(1)[0][0])",
        2,
        -2,
    ),
    Task(
        "Read a number of seconds and print it as hours, minutes and seconds: `h:mm:ss`.",
        lambda text: f"{int(text) // 3600}:{int(text) % 3600 // 60:02}:{int(text) % 60:02}",
        ["0", "3661", "59", "86400"],
        lambda random: str(random.randint(0, 200_000)),
        "n = int(input())\nm, s = divmod(n, 60)\nh, m = divmod(m, 60)\nprint('%d:%02d:%02d' % (h, m, s))",
        "from datetime import timedelta\nprint(timedelta(seconds=int(input())))",
        3,
        -2,
    ),
    Task(
        "Read a sentence and print its words in reverse order.",
        lambda text: " ".join(text.split()[::-1]),
        ["one two three", "word", "a b"],
        lambda random: " ".join(random.choices(["sea", "wind", "rain", "sun"], k=random.randint(2, 6))),
        "print(*reversed(input().split()))",
        "print(input()[::-1])",
        0,
        -2,
    ),
    Task(
        "Read a and b. Print their greatest common divisor and their least common multiple on one line.",
        lambda text: line([math.gcd(*numbers(text)), math.lcm(*numbers(text))]),
        ["4 6", "7 7", "1 99"],
        lambda random: some(random, 2, 1, 500),
        "def gcd(a, b):\n    return gcd(b, a % b) if b else a\na, b = map(int, input().split())\ng = gcd(a, b)\nprint(g, a // g * b)",
        "import math\na, b = map(int, input().split())\nprint(math.gcd(a, b), a * b)",
        0,
        -2,
    ),
    Task(
        "Read n. Print a square of n times n numbers that has 1 to n·n row by row, but every second row backwards.",
        lambda text: "\n".join(line(list(range(r * int(text) + 1, (r + 1) * int(text) + 1))[:: -1 if r % 2 else 1]) for r in range(int(text))),
        ["1", "2", "3"],
        lambda random: str(random.randint(4, 9)),
        "n = int(input())\nfor r in range(n):\n    row = [r * n + c + 1 for c in range(n)]\n"
        "    print(*(row[::-1] if r % 2 else row))",
        "n = int(input())\nfor r in range(n):\n    print(*[r * n + c + 1 for c in range(n)])",
        1,
        -2,
    ),
    Task(
        "Read n (up to 1,000,000,000,000,000,000) and print the sum of its digits in base 2.",
        lambda text: str(f"{int(text):b}".count("1")),
        ["0", "7", "999999999999999999"],
        lambda random: str(random.randint(0, 10**18)),
        "n = int(input())\nprint(n.bit_count())",
        "n = int(input())\ncount = 0\nwhile n:\n    count += n % 2\n    n = int(n / 2)\nprint(count)",
        2,
        -2,
    ),
]


def fibonacci(n):
    return 1 if n < 3 else pow_matrix(n)


def pow_matrix(n):
    """The upper right entry of ((1, 1), (1, 0)) to the power of n."""
    a, b, c = 1, 0, 1
    x, y, z = 1, 1, 0
    while n:
        if n % 2:
            a, b, c = a * x + b * y, a * y + b * z, b * y + c * z
        x, y, z, n = x * x + y * y, x * y + y * z, y * y + z * z, n // 2
    return b
