"""What Postroom reaches, measured against the local SES. One module a figure; see README.md."""
