"""How campaigns flow to the workers: release, steering, their end."""
