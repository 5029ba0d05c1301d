"""The user's own CLIs run against a scripted model: what they do with our hooks is seen, not believed.

Cold: nothing of a hook's path comes here.

    findings    what is said: one line each, with its remedy
    hosts       the CLIs, one module each
    examine     a host, looked at; paths for what a command names
    health      the project's state
    mend        what `--fix` does
    stage       the copy of home and project
    recorder    stands before our hooks in the copy
    isolation   runs a CLI where nothing can leave; inside is what runs there
    live        a session of a CLI in a stage, and what is to be said of it
    recording   the payloads of such a session
    server      the model, which plays a script by one of apis
"""
