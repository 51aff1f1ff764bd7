"""Redis, the local SES, producers and workers as child processes: for laptops and for tests."""
