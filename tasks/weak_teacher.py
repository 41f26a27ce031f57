"""Refuse to train under a teacher that the probe found no better than the student, unless a person accepted it.

    dopsd run --accept-weak-teacher

An acceptance is of one report: it names the digest of probe.json, so that the next weak teacher is refused again.
"""

from pathlib import Path

from dopsd.recipe import TAUGHT, Method
from tasks.folders import read_json, sha256_of_file, write_json

EXIT_CODE = 4
REPORT = "probe.json"
ACCEPTED = "accepted"
"""Where acceptances lie among what survives between runs: a file a report, as two may be asked about at once."""


class WeakTeacher(ValueError):
    """Training was asked for under a weak teacher that nobody accepted."""


def is_weak(probe: Path) -> bool:
    """Read the probe's finding from its folder."""
    return not read_json(probe / REPORT)["is_teacher_better"]


def report(probe: Path) -> str:
    """Give the probe's finding in its own words, and the file that has the numbers."""
    return f"{read_json(probe / REPORT).get('report', 'the teacher is too weak')} ({probe / REPORT})"


def accept(probe: Path, runs: Path) -> None:
    """Record that a person accepts this report's teacher; `runs` is the folder of what survives between runs."""
    write_json(_acceptance(probe, runs), {"probe_sha256": sha256_of_file(probe / REPORT)})


def is_accepted(probe: Path, runs: Path) -> bool:
    """Tell whether this report's teacher was accepted, by params.yaml in advance or by a person afterwards."""
    if read_json(probe / REPORT).get("accepted_weak"):
        return True
    return _acceptance(probe, runs).is_file()


def is_refused(probe: Path, runs: Path, method: Method) -> bool:
    """Tell whether training may not begin: the method follows a teacher, this one is weak, and nobody accepted that."""
    return method in TAUGHT and is_weak(probe) and not is_accepted(probe, runs)


def check(probe: Path, runs: Path, method: Method) -> None:
    """Let training begin, or raise WeakTeacher."""
    if is_refused(probe, runs, method):
        raise WeakTeacher(
            f"the teacher is not better than the student ({probe / REPORT}), so there is nothing to learn from it: "
            "check the captions and pictures, or train all the same with `dopsd run --accept-weak-teacher`"
        )


def _acceptance(probe: Path, runs: Path) -> Path:
    return runs / ACCEPTED / f"{sha256_of_file(probe / REPORT)[:16]}.json"
