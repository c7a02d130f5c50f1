"""Runs a command and prints what it took: wall and CPU seconds and peak memory, its children included.

A process of its own for each command, because the kernel only tells the largest peak of all children so far.
"""

import json
import resource
import subprocess
import sys
import time

# Where python3 is a shell script that becomes Python, the script's children count as ours.
before = resource.getrusage(resource.RUSAGE_CHILDREN)
started = time.perf_counter()
ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
wall = time.perf_counter() - started
if ended.returncode != 0:
    sys.exit(ended.stderr.decode(errors="replace") or f"ended with {ended.returncode}")
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "wall_seconds": wall,
    "cpu_seconds": usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime,
    "peak_kib": usage.ru_maxrss,
}))
