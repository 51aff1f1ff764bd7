"""Which Postroom this is. The image runs the code from a folder: no installed package tells it."""

__version__ = "0.1.0"
