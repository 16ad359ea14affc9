"""The pure core: data in, data out.

It knows no clock, no randomness, no store, no framework and no `await`.
"""
