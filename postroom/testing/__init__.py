"""For the tests of services: `postroom` and `postroom_stack`, two pytest fixtures.

pytest finds them by itself where `postroom[testing]` is installed; see docs/testing.md.
"""
