"""Measures speed and cost of the file transfer on the machine at hand.

Run ``make bench``, or ``python -m benchmarks --help`` for the choices.
"""
