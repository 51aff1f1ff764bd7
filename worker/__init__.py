"""Process: batches in, mail out."""
