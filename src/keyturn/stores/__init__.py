"""Stores: where sessions live. Each module is one engine; the protocol is in `keyturn.stores.protocol`."""
