"""`python -m benchmarks [NAME | GROUP ...]`: measure all of them, or the named ones."""

import sys
from importlib import import_module

_GROUPS = {
    "speed": (
        "intake",
        "bulk_throughput",
        "single_mode",
        "rate_held",
        "learned_bucket",
        "quota_wait",
        "suppression_check",
        "messages",
    ),
    "crash": (
        *("recovery", "pause_latency", "transactional_latency", "fairness", "many_campaigns"),
        "many_accounts",
        *("quota_slots", "broker_queue", "fsync", "revoked_key", "hostile_field"),
        *("endpoint_shapes", "brown_out", "unfit_worker", "suppressed_late"),
    ),
    "small": ("idle_campaigns", "same_second", "small_campaigns"),
}

for given in sys.argv[1:] or _GROUPS:
    for name in _GROUPS.get(given, (given,)):
        import_module(f"benchmarks.{name}").main()
