"""What `--demo` adds: a session's story as it happens, and mishaps on demand. It adds no user."""
