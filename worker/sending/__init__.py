"""The sending path: one batch in, calls to SES, outcomes in the ledger."""
