"""The loop, shown: `python -m demo`. A user's program: it knows `ratchet`, boto3 and nothing else of the project."""
