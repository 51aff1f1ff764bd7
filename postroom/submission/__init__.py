"""How a campaign is handed in: checked, shipped to Redis and sealed under its key."""
