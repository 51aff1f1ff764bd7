"""The only code that speaks to SES: its client, its requests, its answers."""
