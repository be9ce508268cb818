"""A real browser, Chromium without a head: what it makes of a page, what it says, what it asks the world."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: no sandbox, for CI runs as root; and nothing that the browser would do on its own account
SWITCHES = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
 --disable-component-update --disable-sync --disable-extensions --disable-default-apps --hide-scrollbars
 --force-device-scale-factor=1 --enable-logging=stderr --virtual-time-budget=3000""".split()
#: no name leads anywhere, so that a request is seen and goes nowhere
SWITCHES.append("--host-resolver-rules=MAP * ~NOTFOUND")
#: what this browser asks for on its own account in spite of the switches
_OWN = re.compile(r"https?://(?:[a-z0-9-]+\.)*(?:google|googleapis)\.com/")


@dataclass(frozen=True)
class Seen:
    """What came of opening a page."""

    #: the document after its scripts
    dom: str
    #: what scripts and the browser said on the console
    console: list[str]
    #: addresses that were asked for, but for the page itself
    asked: list[str]

    def shown(self, tag: str) -> list[str]:
        """The texts of the elements of one kind that carry `data-a` and are not hidden."""
        found = re.findall(rf"<{tag}([^>]*data-a=[^>]*)>(.*?)</{tag}>", self.dom, re.DOTALL)
        return [re.sub(r"<[^>]+>", " ", text) for attributes, text in found if "hidden" not in attributes]


def chromium(*switches: str, page: str) -> subprocess.CompletedProcess[str]:
    """Play the browser once, with a profile of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "the tests need Chromium: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        return subprocess.run(
            [program, *SWITCHES, f"--user-data-dir={profile}", *switches, page],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )


def opened(file: Path, fragment: str = "") -> Seen:
    """Open a page and let its scripts run."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        url = file.resolve().as_uri()
        done = chromium("--dump-dom", f"--log-net-log={log}", page=url + (f"#{fragment}" if fragment else ""))
        events: list[dict[str, Any]] = json.loads(log.read_text(encoding="utf-8"))["events"]
    asked = {str(event.get("params", {}).get("url", "")) for event in events}
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Seen(done.stdout, console, sorted(a for a in asked if re.match(r"https?:|wss?:", a) and not _OWN.match(a)))


def background(file: Path, *, dark: bool, picture: Path) -> tuple[int, int, int]:
    """Take a picture under a colour scheme; give the colour of its first pixel."""
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    chromium(scheme, "--window-size=1180,900", f"--screenshot={picture}", page=file.resolve().as_uri())
    return _first_pixel(picture.read_bytes())


def _first_pixel(png: bytes) -> tuple[int, int, int]:
    """Whatever filter its row has, the first pixel of a PNG stands there as it is (PNG 3rd edition, 9.2)."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    red, green, blue = zlib.decompress(data)[1:4]
    return red, green, blue
