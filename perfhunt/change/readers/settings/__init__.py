"""Configuration: `forms` reads each form as flat settings, `atoms` says which of them changed."""
