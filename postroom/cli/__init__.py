"""The `postroom` command. Needs the extra `cli`."""
