"""What keeps a run healthy: who runs, what died, what is wrong and how to mend it."""
