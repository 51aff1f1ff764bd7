"""A local Amazon SES (API v2 over HTTP) for tests and laptops. Imports nothing of ours."""
