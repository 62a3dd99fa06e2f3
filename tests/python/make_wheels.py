# SPDX-License-Identifier: Apache-2.0
"""Writes wheels for the tests into a folder: two versions of a package that differ, one that needs another, one with native
code, and two that share a namespace."""

import sys
import zipfile
from pathlib import Path

FOLDER = Path(sys.argv[1])
FOLDER.mkdir(parents=True, exist_ok=True)


def wheel(name: str, version: str, files: dict[str, str], needs: list[str], tag: str = "py3-none-any") -> None:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = files | {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(FOLDER / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)


for version, answer in (("1.0", "one"), ("2.0", "two")):
    source = "from pathlib import Path\n\nimport gym_test_words\n\n\ndef answer():\n"
    source += "    text = Path(__file__).with_name('answer.txt').read_text()\n    return gym_test_words.shout(text)\n"
    files = {"gym_test_answers/__init__.py": source, "gym_test_answers/answer.txt": answer}
    wheel("gym_test_answers", version, files, ["gym-test-words>=1", "gym-test-elsewhere; sys_platform != 'wasi'"])
shout = "def shout(text):\n    import difflib\n\n    assert difflib\n    return text.upper()\n"
wheel("gym_test_words", "1.5", {"gym_test_words.py": shout}, [])
wheel("gym_test_native", "1.0", {"gym_test_native.py": ""}, [], "cp314-cp314-manylinux_2_17_x86_64")
wheel("gym_test_needy", "1.0", {"gym_test_needy.py": "value = 7\n"}, ["gym-test-native==1.0"])
data = {"gym_test_space/one/__init__.py": "value = 1\n", "gym_test_space/one/data/a.txt": "some data"}
wheel("gym_test_part_one", "1.0", data, ["gym-test-part-two"])
plugin = {
    "gym_test_space/two.py": "value = 2\n\n\ndef plugin():\n    return 3\n",
    "gym_test_part_two-2.0.dist-info/entry_points.txt": "[gym_test.plugins]\ntwo = gym_test_space.two:plugin\n",
}
wheel("gym_test_part_two", "2.0", plugin, [])
