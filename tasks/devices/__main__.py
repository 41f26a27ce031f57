"""List the devices of this host and who holds them, or lend some to a program.

python -m tasks.devices
python -m tasks.devices --memory-gib 40 --count 2 accelerate launch --num_processes 2 my_training.py
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence

from tasks.devices.host import devices
from tasks.devices.job import priority, seen
from tasks.devices.lease import Need, holder
from tasks.process import end_with_starter


def main(arguments: Sequence[str]) -> int:
    """Do one of the two; gives the program's exit code, 1 for what a user can mend."""
    asked = _parser().parse_args(arguments)
    try:
        if not asked.program:
            rows = [f"{device.name}  {device.memory_gib:g} GiB  {holder(device) or 'free'}" for device in devices()]
            print("\n".join(rows) or "no devices: the CPU computes")
            return 0
        with seen(Need(asked.program[0], asked.memory_gib, asked.count, priority())):
            return _run(asked.program)
    except (ValueError, FileNotFoundError) as mistake:
        print(mistake, file=sys.stderr)
        return 1


def _run(program: Sequence[str]) -> int:
    """Hold the devices until the program has ended, also where we are asked to end."""
    with subprocess.Popen(program, preexec_fn=end_with_starter) as child:  # noqa: PLW1509 (there is one thread here)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        code = child.wait()
    return code if code >= 0 else 128 - code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.devices", description=__doc__.partition("\n")[0])
    parser.add_argument("--memory-gib", type=float, default=0.0, help="what each device must have")
    parser.add_argument("--count", type=int, default=1, help="how many at once")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="a program and its arguments")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
