"""Processes that turn campaigns into batches: `celery -A producers.app worker`."""
