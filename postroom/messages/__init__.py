"""Single messages: handed in one by one, and sent together where they wait together."""
