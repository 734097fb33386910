"""Long replays and extracts, piece by piece, so that nothing stops them: what is to do and what was done stands in the database."""
