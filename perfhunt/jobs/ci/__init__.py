"""What a job of CI is handed: files in the directory that it keeps, its summary, pictures."""
