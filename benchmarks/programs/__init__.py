"""Programs that the benchmark starts in processes of their own.

``send_version1.py`` and ``serve_version1.py`` stand on the official client and the package under
test alone, so that they run with the published packages in another environment too.
"""
