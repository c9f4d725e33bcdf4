"""The report that opens in a browser: one offline file."""
