"""`python -m benchmarks [NAME ...]`: measure all of them, or the named ones."""

import sys
from importlib import import_module

_ALL = ("intake", "bulk_throughput", "single_mode", "rate_held", "quota_wait")

for name in sys.argv[1:] or _ALL:
    import_module(f"benchmarks.{name}").main()
