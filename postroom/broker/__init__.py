"""The only Celery of the shared part: queues, publishing, settings of the broker."""
