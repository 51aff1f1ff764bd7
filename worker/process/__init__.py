"""One worker process: its tasks, its loops, its start and its end."""
