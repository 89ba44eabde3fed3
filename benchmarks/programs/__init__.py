"""Programs that the benchmark starts in processes of their own.

They stand on the official client and the package under test alone, so that they run with the
published packages in another environment too.
"""
