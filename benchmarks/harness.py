"""What all benchmarks share: children that are measured, ratios with their range, a table, a JSON file."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "bench"
#: a bar may be missed by this factor where the machine is somebody else's, or the size was turned down
SLACK = 1.5


class BenchmarkError(Exception):
    """A side did not do its work; its figures would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much work a benchmark does."""

    people: int
    #: the size that the bars were set for
    usual: int
    #: pairs that every ratio is taken from
    pairs: int = 3

    @property
    def judged(self) -> bool:
        """Whether bars that depend on the size mean anything: below a tenth, starting up is most of the work."""
        return self.people * 10 >= self.usual

    @property
    def slack(self) -> float:
        """By which factor a bar may be missed."""
        return SLACK if os.environ.get("CI") or self.people < self.usual else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: a ratio for each pair, or (unit not `x`) an observation that has no bar."""

    work: str
    values: Sequence[float]
    unit: str = "x"
    #: `>= 3` or `<= 4`; "" where the figure is only reported
    bar: str = ""
    #: the bar holds for every size
    always: bool = False

    @property
    def median(self) -> float:
        """What is compared with the bar."""
        return statistics.median(self.values)

    def met(self, size: Size) -> bool | None:
        """Whether the bar is met; None where there is none, or not at this size."""
        if not self.bar or not (self.always or size.judged):
            return None
        sign, _, number = self.bar.partition(" ")
        limit = float(number)
        return self.median >= limit / size.slack if sign == ">=" else self.median <= limit * size.slack


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one benchmark found."""

    name: str
    size: Size
    rows: Sequence[Row]
    #: what is inside the measured work, and what is not
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def good(self) -> bool:
        """Whether no bar was missed."""
        return all(row.met(self.size) is not False for row in self.rows)

    def documents(self) -> list[dict[str, object]]:
        """The rows as they are stored."""
        return [
            {
                "work": row.work,
                "value": {
                    "median": _rounded(row.median),
                    "low": _rounded(min(row.values)),
                    "high": _rounded(max(row.values)),
                    "pairs": len(row.values),
                },
                "unit": row.unit,
                "bar": row.bar or None,
                "met": row.met(self.size),
                "command": f"make bench NAME={self.name}{f' PEOPLE={self.size.people}' if self.size.people else ''}",
                "machine": machine(),
            }
            for row in self.rows
        ]

    def save(self) -> Path:
        """Write build/bench/NAME.json."""
        OUT.mkdir(parents=True, exist_ok=True)
        path = OUT / f"{self.name}.json"
        path.write_text(json.dumps(self.documents(), indent=2) + "\n", encoding="utf-8")
        return path

    def lines(self) -> Iterator[str]:
        """The table, and beside it what was measured."""
        people = f"{self.size.people:,} people, " if self.size.people else ""
        yield f"{self.name}: {people}{machine()}"
        wide = max(len(row.work) for row in self.rows)
        yield f"  {'':{wide}}  {'median':>10}  {'range':>23}  {'bar':>8}"
        for row in self.rows:
            spread = f"{_short(min(row.values))} to {_short(max(row.values))}" if len(row.values) > 1 else ""
            judged = {True: "met", False: "MISSED", None: ""}[row.met(self.size)]
            figure = f"{_short(row.median)} {row.unit}"
            yield f"  {row.work:{wide}}  {figure:>10}  {spread:>23}  {row.bar:>8}  {judged}".rstrip()
        for note in self.notes:
            yield f"  - {note}"


def _rounded(value: float) -> float:
    return round(value, 4)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Where the figures come from, as far as it matters."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores {model}, Python {platform.python_version()}, {platform.system()}{load}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a piece of work took. Memory is the peak of the process, in bytes."""

    wall: float
    cpu: float
    memory: int
    out: str = ""

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            wall=self.wall + other.wall,
            cpu=self.cpu + other.cpu,
            memory=max(self.memory, other.memory),
            out=self.out + other.out,
        )


def run(
    *command: str, folder: Path | None = None, expected: tuple[int, ...] = (0,), source: Path = ROOT / "src"
) -> Spent:
    """Run a child to its end and take what the system says it used, from its first instruction to its last.

    Args:
        command: What to run.
        folder: Where to run it.
        expected: The exit codes that are none of failure.
        source: Where the child finds scimsync.

    Raises:
        BenchmarkError: It ended with another code.
    """
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=_environment(source)) as child:
        out = child.stdout.read() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if child.returncode not in expected:
        raise BenchmarkError(f"{' '.join(command)}: exit code {child.returncode}\n{out[-2000:]}")
    return Spent(wall=wall, cpu=usage.ru_utime + usage.ru_stime, memory=_bytes(usage.ru_maxrss), out=out)


def part(module: str, *arguments: object) -> Spent:
    """Run `python -m benchmarks.MODULE ARGUMENTS`, which measures its work itself and prints what it `told`.

    Start and imports are left out; the peak of memory is that of the whole process.
    """
    done = run(sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments), folder=ROOT)
    told = json.loads(done.out.splitlines()[-1])
    memory = told["memory"] or done.memory
    return Spent(wall=told["wall"], cpu=told["cpu"], memory=memory, out=str(told["result"]))


def tell(spent: Spent, result: object) -> None:
    """Say to the parent what a part measured."""
    print(json.dumps({"wall": spent.wall, "cpu": spent.cpu, "memory": _own_peak(), "result": result}))


def _own_peak() -> int:
    """The peak of this program alone; 0 where it is not known.

    What the system counts for a child begins with the memory of whoever started it, where that had more.
    """
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return 0


def measured(work: Callable[[], T]) -> tuple[Spent, T]:
    """Do some work of this process and take what it used."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall=wall, cpu=cpu, memory=_bytes(after.ru_maxrss)), result


def scimsync(*arguments: str, folder: Path, expected: tuple[int, ...] = (0,)) -> Spent:
    """The real command, measured from outside."""
    return run(sys.executable, "-m", "scimsync", *arguments, folder=folder, expected=expected)


@contextmanager
def served(*arguments: str) -> Iterator[dict[str, str]]:
    """A simulator in a process of its own; gives what it announces."""
    command = (sys.executable, "-m", "scimsync", "simulate", "--json", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line:
                raise BenchmarkError(f"{' '.join(command)} did not start")
            yield json.loads(line)
        finally:
            child.terminate()


def _environment(source: Path = ROOT / "src") -> dict[str, str]:
    """Ours, with the checkout in front, so that a part is found from every folder; bytecode is kept, as installed."""
    paths = [str(source), str(ROOT), os.environ.get("PYTHONPATH", "")]
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _bytes(peak: int) -> int:
    return peak if sys.platform == "darwin" else peak * 1024
