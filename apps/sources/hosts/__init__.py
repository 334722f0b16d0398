"""What each kind of Git host says: how it signs a message, and what is in it."""
