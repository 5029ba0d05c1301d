"""The user's own CLIs run against a scripted model: what they do with our hooks is seen, not believed.

Cold: nothing of a hook's path comes here.
"""
