"""Recipients' files read, for producers and for a look beforehand: bytes, lines, rows, people."""
