"""What people see: campaigns, accounts, previews and estimates, as values and records."""
