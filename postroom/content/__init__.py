"""What a campaign is made of: templates, fields, addresses, and the checks of them."""
