"""Run a command, and write what it and its children took: ``python spent.py spent.json command …``.

A process of its own, and a small one: Linux counts as a child's memory also what its parent held when it was forked.
"""

import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
code = subprocess.call(sys.argv[2:])
wall, usage = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
found = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024}
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(found, file)
sys.exit(code)
