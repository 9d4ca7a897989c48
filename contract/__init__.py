"""The contract: every name, path, key and word on which infra, lambdas, ratchet and the toolkit agree, said once.

It is shipped inside every function's package and every training job, whose Python may be as old as 3.8: the standard
library only, no import from another room, no syntax newer than that.
"""
