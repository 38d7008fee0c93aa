"""A server of yours: a snapshot taken of it, and the transcripts played against it."""
