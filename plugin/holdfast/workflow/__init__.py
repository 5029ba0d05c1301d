"""The workflow as the user wrote it, and the index that the hooks read."""
