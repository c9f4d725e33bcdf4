"""Every reader of what others write, with seeds, and inputs made to harm them."""
