"""What Ratchet promises in seconds and megabytes, measured. Results are kept in bench/results, and in RESULTS.md."""
