"""IAM's policy language: documents, variables, conditions and principals, as the IAM User Guide defines them.

Standard library only, without state. `policies` reads documents, `requests` is what a request says of itself; who asks
which policies of whom is the adapter's matter.
"""
