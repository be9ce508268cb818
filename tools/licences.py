"""Prints the licence of each library that is installed with scimsync or an extra; fails where one would bind a user.

A library says its licence in its metadata; where it says nothing that is understood, this fails, too, until somebody
looked. Weak copyleft (LGPL, MPL) binds whoever changes the library itself, and nobody who uses it: that is told.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
FREE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software|Unlicense|0BSD|Zlib|HPND|CC0|Public Domain", re.IGNORECASE)
WEAK = re.compile(r"LGPL|Lesser General|MPL|Mozilla|EPL|Eclipse", re.IGNORECASE)
BINDING = re.compile(r"(?<!L)GPL|AGPL|Affero|(?<!Lesser )General Public|SSPL|EUPL|BUSL|Commons Clause", re.IGNORECASE)
#: what says nothing of itself that is understood, and what somebody found in its files
LOOKED_UP: dict[str, str] = {"oracledb": "Apache-2.0 OR UPL-1.0", "python-ldap": "Python-style (Apache compatible)"}
#: extras that are for us alone
OURS = {"dev"}


def wanted() -> list[str]:
    """What users may install: the pinned libraries of the core, those that extras ask for, and what these ask for."""
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    found: set[str] = set()
    left = [*pinned, *_asked("scimsync", extras=True)]
    while left:
        name = _plain(left.pop())
        if name not in found:
            found.add(name)
            left += _asked(name, extras=False)
    return sorted(found)


def _asked(name: str, *, extras: bool) -> list[str]:
    """What a library asks for; of extras those that are not for us alone."""
    try:
        requires = distribution(name).requires or ()
    except PackageNotFoundError:
        return []
    names = []
    for each in requires:
        extra = re.search(r"extra == .([\w-]+).", each)
        if (extras and extra[1] not in OURS) if extra else "sys_platform == 'win32'" not in each.replace('"', "'"):
            names.append(re.split(r"[^A-Za-z0-9._-]", each)[0])
    return names


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: Distribution) -> str:
    """What a library says of its licence."""
    data = found.metadata
    classes = [each.split(" :: ") for each in data.get_all("Classifier") or () if each.startswith("License")]
    classified = [each[-1] for each in classes if len(each) > 2]
    said = data.get("License-Expression") or "; ".join(classified) or (data.get("License") or "").partition("\n")[0]
    return LOOKED_UP.get(_plain(data["Name"]), said.strip())


def verdict(said: str) -> tuple[str, bool]:
    """What a licence means to whoever uses us, and whether that is a fault."""
    if FREE.search(said):
        return "", False
    if WEAK.search(said):
        return "(binds who changes it, not who uses it)", False
    if BINDING.search(said):
        return "<- would bind whoever uses us", True
    return "<- what is its licence? look, and say so in LOOKED_UP", True


def main() -> int:
    """Print and judge."""
    faults = []
    for name in wanted():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            print(f"{name:<42} not installed here")
            continue
        said = licence(found)
        words, is_fault = verdict(said)
        line = f"{name:<42} {found.version:<18} {said}  {words}".rstrip()
        print(line)
        faults += [line] if is_fault else []
    sys.stderr.write("".join(f"{line}\n" for line in faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
