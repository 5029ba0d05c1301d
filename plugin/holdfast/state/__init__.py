"""Durable state: the document, and the store that changes it by guarded atomic updates.

It knows nothing of workflows.
"""
