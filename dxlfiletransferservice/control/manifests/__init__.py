"""Manifests: what is to be sent, listed in the background."""
